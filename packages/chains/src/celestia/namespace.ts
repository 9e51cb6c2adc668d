/** A namespace as it is in a message: version (1 byte) and id (28 bytes). Specifications: Celestia, Namespace. */
export const namespaceLength = 29

/** Version 0 leaves ten bytes to its owner; the 18 before them are zero. */
const reservedZeros = 1 + 18

/**
 * Why a blob cannot be posted under these bytes, or `undefined` where it can: only version 0 is for blobs, and the lowest
 * 256 names of it belong to the protocol.
 */
export function whyNoBlobNamespace(namespace: Uint8Array): string | undefined {
  if (namespace.length !== namespaceLength) return `must have ${namespaceLength} bytes, has ${namespace.length}`
  if (namespace[0] !== 0) return 'must be of version 0, the only one that blobs may use'
  if (namespace.subarray(0, reservedZeros).some((byte) => byte !== 0)) return 'must begin its id with 18 zero bytes'
  if (namespace.subarray(reservedZeros, -1).every((byte) => byte === 0)) return 'is reserved for the protocol'
  return undefined
}
