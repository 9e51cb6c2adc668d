import { type Answer, type CallOptions, call, type TestInstance } from '../instance.ts'

/** An organization of its own on a running instance, with an API key that has every scope. */
export interface Tenant {
  /** `org_…` */
  readonly organization: string
  readonly token: string
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer>
}

/** Makes an organization by the admin socket, as the host would. */
export async function makeTenant(instance: TestInstance, name: string, plan = 'self_hosted'): Promise<Tenant> {
  const { id } = await instance.admin('POST', 'organizations', { name, plan })
  const { token } = await instance.admin('POST', 'api-keys', { organization: id, name: 'all' })
  return {
    organization: id as string,
    token: token as string,
    call: (method, path, body, options) => call(instance.url, token as string, method, path, body, options),
  }
}

/** Creates a key, and answers it. Throws for any other answer than 201. */
export async function makeKey(
  tenant: Pick<Tenant, 'call'>,
  name: string,
  more: Record<string, unknown> = {},
): Promise<Answer['body']> {
  const { status, body } = await tenant.call('POST', '/v1/keys', { name, namespace: 'production', ...more })
  if (status !== 201) throw new Error(`a key was not made: ${status} ${JSON.stringify(body)}`)
  return body
}
