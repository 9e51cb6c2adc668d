/** A coin or token whose unit people use: its CAIP-19 id, its sign, and how many digits stand behind the point. */
interface Coin {
  readonly asset: string
  readonly symbol: string
  readonly decimals: number
}

/** Native coins, by CAIP-19 id: with the coin types of SLIP-44, on Cosmos chains with the name of the coin. What is not here is shown in its smallest unit. */
const coins: ReadonlyMap<string, Coin> = new Map(
  [
    { asset: 'eip155:1/slip44:60', symbol: 'ETH', decimals: 18 },
    { asset: 'eip155:10/slip44:60', symbol: 'ETH', decimals: 18 },
    { asset: 'eip155:137/slip44:966', symbol: 'POL', decimals: 18 },
    { asset: 'eip155:8453/slip44:60', symbol: 'ETH', decimals: 18 },
    { asset: 'eip155:42161/slip44:60', symbol: 'ETH', decimals: 18 },
    { asset: 'eip155:43114/slip44:9005', symbol: 'AVAX', decimals: 18 },
    { asset: 'eip155:11155111/slip44:60', symbol: 'ETH', decimals: 18 },
    { asset: 'cosmos:celestia/denom:utia', symbol: 'TIA', decimals: 6 },
    { asset: 'cosmos:mocha-4/denom:utia', symbol: 'TIA', decimals: 6 },
    { asset: 'cosmos:arabica-11/denom:utia', symbol: 'TIA', decimals: 6 },
    { asset: 'cosmos:cosmoshub-4/denom:uatom', symbol: 'ATOM', decimals: 6 },
    { asset: 'cosmos:osmosis-1/denom:uosmo', symbol: 'OSMO', decimals: 6 },
  ].map((coin) => [coin.asset, coin]),
)

/** An amount as people write it with the smallest units beside it: `1.5 ETH (1500000000000000000)`, or `15 of <asset>`. */
export function amountInWords(amount: string, asset: string): string {
  const coin = coins.get(asset)
  if (coin === undefined) return `${amount} of ${asset}`
  return `${inUnits(amount, coin.decimals)} ${coin.symbol} (${amount})`
}

/** A whole number of smallest units, as decimal text with the point `decimals` digits from the right and no zeros at the end. */
export function inUnits(amount: string, decimals: number): string {
  if (decimals === 0) return amount
  const digits = amount.padStart(decimals + 1, '0')
  const fraction = digits.slice(-decimals).replace(/0+$/, '')
  return digits.slice(0, -decimals) + (fraction === '' ? '' : `.${fraction}`)
}

/** The native coin of a network, where the table has one: `prefix` is the CAIP-2 id. */
export function nativeCoin(network: string): Coin | null {
  for (const coin of coins.values()) if (coin.asset.startsWith(`${network}/slip44:`)) return coin
  return null
}
