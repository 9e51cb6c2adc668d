import { amountInWords } from './asset.ts'
import type { Account, ArgumentValue, Call, Effect, Grant, SignedMessage } from './effect.ts'

/**
 * One effect in a sentence for people, in English. Amounts stand in the unit people use and in the smallest one; text from
 * outside stands in quotes with everything that does not print escaped, so that it cannot pass for words of ours.
 */
export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'transfer':
      return `Transfer ${amountInWords(effect.amount, effect.asset)} from ${who(effect.from)} to ${who(effect.to)}`
    case 'allow': {
      const until = effect.expires === undefined ? '' : ` until ${time(effect.expires)}`
      if (effect.amount === '0')
        return `Take back what ${effect.spender} may move of ${effect.asset} of ${who(effect.owner)}`
      const amount =
        effect.amount === 'unlimited' ? `any amount of ${effect.asset}` : amountInWords(effect.amount, effect.asset)
      return `Allow ${effect.spender} to move ${amount} of ${who(effect.owner)}${until}`
    }
    case 'call':
      return call(effect)
    case 'create':
      return `Create a contract${effect.contract === null ? '' : ` at ${effect.contract}`} as ${who(effect.from)}, code ${effect.code_hash}`
    case 'delegate_code':
      return effect.to === null
        ? `Take the code of ${who(effect.account)} away${effect.network === null ? ' on every network' : ` on ${effect.network}`}`
        : `Let the code of ${effect.to} act as ${who(effect.account)}${effect.network === null ? ' on every network' : ` on ${effect.network}`}`
    case 'post_blob': {
      const bytes = effect.bytes === null ? 'a blob' : `a blob of ${effect.bytes} bytes`
      const into = effect.namespace === null ? '' : ` into namespace ${effect.namespace}`
      return `Post ${bytes}${into} as ${who(effect.from)}, commitment ${effect.commitment}`
    }
    case 'stake': {
      const back = effect.unbonding_since === undefined ? '' : ` again, unstaked at height ${effect.unbonding_since},`
      return `Stake ${amountInWords(effect.amount, effect.asset)} of ${who(effect.delegator)}${back} with ${effect.validator}`
    }
    case 'unstake':
      return `Unstake ${amountInWords(effect.amount, effect.asset)} of ${who(effect.delegator)} from ${effect.validator}`
    case 'redelegate':
      return `Move the stake of ${amountInWords(effect.amount, effect.asset)} of ${who(effect.delegator)} from ${effect.from} to ${effect.to}`
    case 'claim':
      return `Claim ${effect.what} of ${who(effect.account)}${effect.validator === null ? '' : ` from ${effect.validator}`}`
    case 'vote': {
      const options = effect.options.map(({ option, weight }) => (weight === '1' ? option : `${option} (${weight})`))
      return `Vote ${options.join(', ')} on proposal ${effect.proposal} as ${who(effect.voter)}`
    }
    case 'grant':
      return grant(effect)
    case 'revoke':
      return `No longer let ${effect.grantee} do ${quote(effect.action)} for ${who(effect.granter)}`
    case 'bridge':
      return `Send ${amountInWords(effect.amount, effect.asset)} of ${who(effect.from)} through ${quote(effect.through)} to ${quote(effect.to)}${effect.memo === undefined ? '' : ` with ${quote(effect.memo)}`}`
    case 'mint':
      return `Mint ${amountInWords(effect.amount, effect.asset)} for ${who(effect.account)}`
    case 'burn':
      return `Burn ${amountInWords(effect.amount, effect.asset)} of ${who(effect.account)}`
    case 'close':
      return `Close ${who(effect.account)} and give what it holds to ${who(effect.to)}`
    case 'message':
      return signedMessage(effect)
    case 'opaque':
      return `Not understood: ${quote(effect.what)}${effect.subject === null ? '' : ` for ${effect.subject}`} (${effect.why})`
    case 'deposit': {
      const proposal = effect.proposal === null ? 'the proposal made here' : `proposal ${effect.proposal}`
      return `Put ${amountInWords(effect.amount, effect.asset)} of ${who(effect.depositor)} behind ${proposal}`
    }
    case 'propose': {
      const title = effect.title === null ? '' : ` ${quote(effect.title)}`
      const actions = effect.actions.length === 0 ? 'nothing' : effect.actions.map(({ name }) => quote(name)).join(', ')
      return `Propose${title} as ${who(effect.proposer)}, which would do ${actions}`
    }
    case 'redirect':
      return `Pay the ${effect.what} of ${who(effect.account)} to ${effect.to} from now on`
  }
}

function grant(effect: Grant): string {
  const action = effect.action === 'fees' ? 'have fees paid by' : `do ${quote(effect.action)} for`
  const within = effect.period
  const bounds = [
    effect.limits === null ? 'without a limit' : `up to ${amounts(effect.limits)}`,
    within === undefined ? '' : ` and ${amounts(within.limits)} every ${within.seconds} s`,
    effect.only_for === undefined ? '' : `, only for ${effect.only_for.map(quote).join(', ')}`,
    effect.only_to === undefined ? '' : `, only to ${effect.only_to.join(', ')}`,
    effect.not_to === undefined ? '' : `, not to ${effect.not_to.join(', ')}`,
    effect.expires === null ? '' : ` until ${time(effect.expires)}`,
  ].join('')
  return `Let ${effect.grantee} ${action} ${who(effect.granter)}, ${bounds}`
}

function amounts(values: NonNullable<Grant['limits']>): string {
  return values.length === 0 ? 'nothing' : values.map(({ asset, amount }) => amountInWords(amount, asset)).join(', ')
}

function call(effect: Call): string {
  const run = effect.delegate ? 'Run the code of' : 'Call'
  const as = effect.delegate ? ` as ${who(effect.from)} itself` : ` as ${who(effect.from)}`
  if (effect.function === null)
    return `${run} ${effect.contract}${as}, ${effect.selector === null ? 'no function' : `function ${effect.selector}`}`
  const values = (effect.arguments ?? []).map(({ name, value }) => (name ? `${quote(name)}: ` : '') + argument(value))
  const name = effect.function.slice(0, effect.function.indexOf('('))
  const claimed = effect.known_by === 'caller' ? ', by the ABI that was given' : ''
  return `${run} ${effect.contract}${as}: ${name}(${values.join(', ')})${claimed}`
}

function argument(value: ArgumentValue): string {
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return /^[0-9A-Za-z.:-]{1,66}$/.test(value) ? value : quote(value)
  return `[${value.map(argument).join(', ')}]`
}

function signedMessage(effect: SignedMessage): string {
  const type = effect.type === undefined ? '' : ` of type ${quote(effect.type)}`
  const { name, chain, contract } = effect.domain ?? {}
  const domain = [
    name === undefined ? '' : ` for ${quote(name)}`,
    contract === undefined ? '' : ` at ${contract}`,
    chain === undefined ? '' : ` on ${chain}`,
  ].join('')
  const text = effect.text === null ? `with SHA-256 ${effect.hash}` : quote(effect.text)
  return `Sign a message (${effect.convention})${type}${domain} as ${who(effect.signer)}: ${text}`
}

function who(account: Account): string {
  return account ?? 'the signer'
}

function time(seconds: string): string {
  const milliseconds = Number(seconds) * 1000
  return milliseconds <= 8.64e15 ? new Date(milliseconds).toISOString() : `${seconds} s after 1970`
}

/** How much of a text is shown. */
const shown = 400

function quote(text: string): string {
  const cut = text.length > shown ? `${text.slice(0, shown)}…` : text
  return JSON.stringify(cut).replaceAll(
    /[^\P{C}]|[\u2028\u2029]/gu,
    (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`,
  )
}
