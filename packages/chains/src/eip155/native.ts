/**
 * Coin types of SLIP-44 for the native coins of EVM networks, by CAIP-2 id. Networks that are not here have 60, as the keys of
 * all EVM networks have.
 */
const coinTypes: Readonly<Record<string, number>> = {
  'eip155:56': 714,
  'eip155:100': 700,
  'eip155:137': 966,
  'eip155:43114': 9005,
}

/** The CAIP-19 id of a network's native coin. */
export function nativeAsset(network: string): string {
  return `${network}/slip44:${coinTypes[network] ?? 60}`
}
