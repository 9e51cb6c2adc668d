import type { Chain, Network } from './chain.ts'
import { cosmos } from './cosmos/cosmos.ts'
import { evm } from './eip155/evm.ts'
import { ChainFault } from './fault.ts'

/** One row per CAIP-2 namespace. */
export const chains: readonly Chain[] = [evm as Chain, cosmos as Chain]

/** Networks whose addresses are told where nobody names one. */
export const mainNetworks: readonly string[] = ['eip155:1', 'cosmos:celestia']

const rows: ReadonlyMap<string, Chain> = new Map(chains.map((row) => [row.namespace, row]))

/** The codec and the network of a CAIP-2 id. `chain.unsupported` where no codec has it. */
export function chainOf(id: string): { readonly chain: Chain; readonly network: Network } {
  const at = id.indexOf(':')
  const chain = rows.get(id.slice(0, Math.max(at, 0)))
  if (chain === undefined) throw new ChainFault('chain.unsupported', { chain: id.slice(0, 64) })
  return { chain, network: chain.network(id.slice(at + 1)) }
}
