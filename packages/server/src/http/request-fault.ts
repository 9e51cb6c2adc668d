import type { ProblemCode } from '@popsigner/api/problems'
import { Fault } from '@popsigner/crypto/fault'

/** One field of the request that is not accepted. `field` is its path, such as `keys[2].name`. */
export interface FieldError {
  readonly field: string
  readonly message: string
}

/** What an answer says besides its code; all of it is shown to the caller. */
export interface RequestDetail {
  readonly text: string
  readonly errors?: readonly FieldError[]
  readonly retryAfterSeconds?: number
  /** Further headers of the answer, such as Allow. */
  readonly headers?: Readonly<Record<string, string>>
}

/** A refusal of one request, with a code of the API's problem table. */
export class RequestFault extends Fault<ProblemCode, RequestDetail> {
  constructor(code: ProblemCode, text: string, more: Omit<RequestDetail, 'text'> = {}, options?: ErrorOptions) {
    super(code, { text, ...more }, options)
  }
}
