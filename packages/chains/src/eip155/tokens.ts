import type { Warning } from '../chain.ts'
import type { Account, ArgumentValue, Effect } from '../effect.ts'
import { type AbiParameter, type AbiType, elementaryType } from './abi-type.ts'
import { type AbiFunction, selectorOf } from './contract-abi.ts'

/** Where a call is made: the network's CAIP-2 id, the contract, and who calls. */
export interface CallSite {
  readonly network: string
  readonly contract: string
  readonly from: Account
}

/** What a call of a known function does beside running; `null` where its arguments make no sense. */
export type Meaning = { readonly effects: readonly Effect[]; readonly warnings: readonly Warning[] } | null

/** A function of a token's standard. */
export interface StandardFunction extends AbiFunction {
  mean(site: CallSite, values: readonly ArgumentValue[]): Meaning
}

/** The largest number of 256 bits, by which an allowance is without end (ERC-20 as implemented everywhere). */
const unlimited = (2n ** 256n - 1n).toString()

/** Said where a selector means an amount for an ERC-20 contract and one token's id for an ERC-721 contract. */
const ambiguous: Warning = {
  code: 'token.ambiguous',
  text: 'If the contract is a collection (ERC-721), the amount is the id of the one token that is meant.',
}

/**
 * Functions of ERC-20 with ERC-2612, ERC-721 and ERC-1155, by selector.
 *
 * `approve` and `transferFrom` have the same selector in ERC-20 and ERC-721, and only the contract knows which it is: they are read as
 * ERC-20, with the warning `token.ambiguous`. `setApprovalForAll` is the same in ERC-721 and ERC-1155 and is
 * told of the asset `erc721`. The effects are what the standards say; a contract may do something else.
 */
export const standardFunctions: ReadonlyMap<string, StandardFunction> = new Map(
  [
    standard('transfer(address to,uint256 amount)', (site, [to, amount]) => [
      transfer(erc20(site), site.from, to, amount),
    ]),
    standard(
      'transferFrom(address from,address to,uint256 amount)',
      (site, [from, to, amount]) => [transfer(erc20(site), from as string, to, amount)],
      ambiguous,
    ),
    standard(
      'approve(address spender,uint256 amount)',
      (site, [spender, amount]) => [allow(erc20(site), site.from, spender, amount as string)],
      ambiguous,
    ),
    standard(
      'permit(address owner,address spender,uint256 value,uint256 deadline,uint8 v,bytes32 r,bytes32 s)',
      (site, [owner, spender, value]) => [allow(erc20(site), owner as string, spender, value as string)],
    ),
    standard('safeTransferFrom(address from,address to,uint256 tokenId)', moveOne),
    standard('safeTransferFrom(address from,address to,uint256 tokenId,bytes data)', moveOne),
    standard('setApprovalForAll(address operator,bool approved)', (site, [operator, approved]) => [
      allow(`${site.network}/erc721:${site.contract}`, site.from, operator, approved === true ? unlimited : '0'),
    ]),
    standard(
      'safeTransferFrom(address from,address to,uint256 id,uint256 amount,bytes data)',
      (site, [from, to, id, amount]) => [transfer(erc1155(site, id), from as string, to, amount)],
    ),
    standard(
      'safeBatchTransferFrom(address from,address to,uint256[] ids,uint256[] amounts,bytes data)',
      (site, [from, to, ids, amounts]) => {
        const [many, each] = [ids as readonly string[], amounts as readonly string[]]
        if (many.length !== each.length) return null
        return many.map((id, i) => transfer(erc1155(site, id), from as string, to, each[i]))
      },
    ),
  ].map((row) => [selectorOf(row.signature), row]),
)

/** An ERC-20 token's CAIP-19 id. */
export function erc20({ network, contract }: Pick<CallSite, 'network' | 'contract'>): string {
  return `${network}/erc20:${contract}`
}

/** The effect of letting `spender` move an amount; the largest number means without end. */
export function allow(
  asset: string,
  owner: Account,
  spender: ArgumentValue | undefined,
  amount: string,
  expires?: string,
): Effect {
  const bound = amount === unlimited ? 'unlimited' : amount
  return {
    kind: 'allow',
    asset,
    owner,
    spender: spender as string,
    amount: bound,
    ...(expires === undefined ? {} : { expires }),
  }
}

/** The effect of moving an amount of a token. */
export function transfer(
  asset: string,
  from: Account,
  to: ArgumentValue | undefined,
  amount: ArgumentValue | undefined,
): Effect {
  return { kind: 'transfer', asset, from, to: to as string, amount: amount as string }
}

function moveOne(site: CallSite, [from, to, id]: readonly ArgumentValue[]): readonly Effect[] {
  return [transfer(`${site.network}/erc721:${site.contract}/${id}`, from as string, to, '1')]
}

function erc1155({ network, contract }: CallSite, id: ArgumentValue | undefined): string {
  return `${network}/erc1155:${contract}/${id}`
}

/** A row from the function's text with the names of its parameters. */
function standard(
  text: string,
  effects: (site: CallSite, values: readonly ArgumentValue[]) => readonly Effect[] | null,
  warning?: Warning,
): StandardFunction {
  return {
    ...functionOf(text),
    mean(site, values) {
      const said = effects(site, values)
      return said === null ? null : { effects: said, warnings: warning === undefined ? [] : [warning] }
    },
  }
}

/** A function from text such as `transfer(address to,uint256 amount)`; elementary types and lists of such. */
export function functionOf(text: string): AbiFunction {
  const name = text.slice(0, text.indexOf('('))
  const parameters = text
    .slice(name.length + 1, -1)
    .split(',')
    .map((one): AbiParameter => {
      const [type = '', parameter = ''] = one.split(' ')
      return { name: parameter, type: typeOf(type) }
    })
  const types = text.replaceAll(/ \w+/g, '')
  return { signature: types, parameters }
}

function typeOf(text: string): AbiType {
  if (text.endsWith('[]')) return { kind: 'array', of: typeOf(text.slice(0, -2)), length: null }
  const type = elementaryType(text)
  if (type === null) throw new RangeError(`type: ${text} is not elementary`)
  return type
}
