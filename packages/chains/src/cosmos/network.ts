import { hex, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import type { Network } from '../chain.ts'
import { ChainFault } from '../fault.ts'

/** How addresses begin, by chain id: chains whose secp256k1 accounts are RIPEMD-160 of SHA-256 of the key. */
const prefixes: ReadonlyMap<string, string> = new Map([
  ['celestia', 'celestia'],
  ['mocha-4', 'celestia'],
  ['arabica-11', 'celestia'],
  ['cosmoshub-4', 'cosmos'],
  ['provider', 'cosmos'],
  ['osmosis-1', 'osmo'],
  ['osmo-test-5', 'osmo'],
  ['noble-1', 'noble'],
  ['neutron-1', 'neutron'],
  ['juno-1', 'juno'],
  ['stargaze-1', 'stars'],
  ['akashnet-2', 'akash'],
  ['axelar-dojo-1', 'axelar'],
  ['dydx-mainnet-1', 'dydx'],
  ['stride-1', 'stride'],
])

/** How addresses of a network begin, where the table has it. */
export function prefixOf(network: Network): string | undefined {
  return prefixes.get(network.reference)
}

/** The network of a CAIP-2 reference, `chain.unsupported` for text that is none. */
export function cosmosNetwork(reference: string): Network {
  if (!/^[-a-zA-Z0-9]{1,32}$/.test(reference))
    throw new ChainFault('chain.unsupported', { chain: `cosmos:${reference.slice(0, 64)}` })
  return { id: `cosmos:${reference}`, namespace: 'cosmos', reference }
}

/** The CAIP-2 reference of a chain id: itself, or a hash where CAIP-2 could not hold it (namespaces, cosmos/caip2). */
export function referenceOf(chainId: string): string {
  if (/^[-a-zA-Z0-9]{1,32}$/.test(chainId) && !chainId.startsWith('hashed-')) return chainId
  return `hashed-${hex(sha256(utf8(chainId))).slice(0, 16)}`
}

/**
 * The CAIP-19 name of a coin: `cosmos:celestia/denom:utia`. What CAIP-19 has no letters for is percent-encoded, so that
 * `ibc/…` becomes `ibc%2F…`.
 */
export function assetOf(network: Network, denom: string): string {
  return `${network.id}/denom:${denom.replaceAll(/[/:_]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)}`
}
