/**
 * A refusal that the caller can act on.
 *
 * `code` is `noun.state` and never changes its meaning; `detail` is typed per code and safe to show. What is not safe to
 * show goes in `cause`. Each layer derives its own class, so that a refusal says where it comes from.
 */
export class Fault<C extends string, D> extends Error {
  readonly code: C
  readonly detail: D

  constructor(code: C, detail: D, options?: { readonly cause?: unknown }) {
    super(code, options)
    this.name = new.target.name
    this.code = code
    this.detail = detail
  }
}
