/** Values that the examples of several routes share: real ones, so that whoever checks them finds that they fit. */

export const sampleKeyId = 'key_01h455vb4pex5vsknk084sn02q'
export const sampleKeyId2 = 'key_01h455vb4pex5vsknk084sn02r'
export const sampleRecordId = 'rec_01h455vb4pex5vsknk084sn03a'
export const sampleTime = '2026-11-20T14:02:11.482Z'
export const sampleOrigin = 'keys.example.com/org_01h455vb4pex5vsknk084sn02q'

/** The public key of the private key 1, a published value, and what follows from it. */
export const samplePublicKey = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'

/** RFC 6979 signature of the private key 1 over SHA-256 of `hello`. */
export const sampleSignature =
  'Dy//hiDY/+lwQPjPcq5Hbvj/RBI3OSnAMkzoQo0zUucYRa5JAwJ2ZwBYRvjwvj5e0ttcOCa6g6blQuCAeS+anQ=='

export const sampleVersion = {
  version: 1,
  state: 'active',
  public_key: samplePublicKey,
  public_key_g1: null,
  public_key_g2: null,
  address: 'celestia1w508d6qejxtdg4y5r3zarvary0c5xw7kthx244',
  eth_address: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf',
  created_at: sampleTime,
}

export const sampleKey = {
  id: sampleKeyId,
  name: 'sequencer',
  namespace: 'production',
  algorithm: 'secp256k1',
  public_key: samplePublicKey,
  public_key_g1: null,
  public_key_g2: null,
  address: sampleVersion.address,
  eth_address: sampleVersion.eth_address,
  exportable: false,
  export: 'none',
  schemes: ['ecdsa'],
  uses: ['transaction', 'message', 'raw', 'digest'],
  state: 'active',
  version: 1,
  versions: [sampleVersion],
  metadata: { chain: 'celestia', network: 'mainnet' },
  rotate_every_days: null,
  destroy_at: null,
  created_at: sampleTime,
  updated_at: sampleTime,
}

/** The same for the private key 2. */
const samplePublicKey2 = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5'

export const sampleVersion2 = {
  version: 2,
  state: 'active',
  public_key: samplePublicKey2,
  public_key_g1: null,
  public_key_g2: null,
  address: 'celestia1q6hag67dl53wl99vzg42z8eyzfz2xlkvpfhvvp',
  eth_address: '0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF',
  created_at: '2026-11-20T15:00:00.000Z',
}

export const sampleSigned = {
  key_id: sampleKeyId,
  signature: sampleSignature,
  public_key: samplePublicKey,
  key_version: 1,
  recovery_id: 0,
  record_id: sampleRecordId,
}

/** Bytes in base64 that stand for something random. */
export function sampleBytes(length: number): string {
  const bytes = Uint8Array.from({ length }, (_, index) => (index * 37 + 11) % 256)
  return btoa(String.fromCharCode(...bytes))
}

/** An uncompressed P-256 point in hex: the generator. */
export const sampleHpkeKey =
  '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'

/** The Ed25519 public key of the first test of RFC 8032 §7.1. */
export const sampleIdentity = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'

export const sampleCheckpoint = `${sampleOrigin}\n41\n${sampleBytes(32)}\n\n— ${sampleOrigin} ${sampleBytes(68)}\n— keys.example.com ${sampleBytes(76)}\n`

export const sampleRecord = {
  id: sampleRecordId,
  event: 'key.signed',
  key_id: sampleKeyId,
  actor: 'ak_01h455vb4pex5vsknk084sn02q',
  ip_address: '127.0.0.1',
  user_agent: 'popsigner-sdk/0.1.0',
  timestamp: sampleTime,
  request_id: 'req_01h455vb4pex5vsknk084sn03a',
  leaf_index: 40,
  metadata: {
    version: 1,
    public_key: samplePublicKey,
    algorithm: 'secp256k1',
    scheme: 'ecdsa',
    input: 'raw',
    hash: 'sha256',
    digest: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
    data_hash: 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
  },
}

/** An unsigned transaction of type 2, and the JSON that clients write for it. */
export const sampleUnsigned =
  '0x02f00109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c0'

export const sampleTransactionJson = {
  to: '0x3535353535353535353535353535353535353535',
  value: '0xde0b6b3a7640000',
  nonce: 9,
  gas: 21_000,
  maxFeePerGas: '20000000000',
  maxPriorityFeePerGas: '1000000000',
}

/** The same, signed by the private key 1. */
export const sampleTransaction = {
  chain: 'eip155:1',
  effects: [
    {
      kind: 'transfer',
      asset: 'eip155:1/slip44:60',
      from: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf',
      to: '0x3535353535353535353535353535353535353535',
      amount: '1000000000000000000',
    },
  ],
  effects_text: [
    'Transfer 1 ETH (1000000000000000000) from 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf to 0x3535353535353535353535353535353535353535',
  ],
  effects_hash: '6099be70a5a0858a67c3be40139bdb70d66ae1392156b72dc6160b8bf7121ca4',
  warnings: [],
  fee: {
    asset: 'eip155:1/slip44:60',
    max: '420000000000000',
    payer: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf',
    text: '0.00042 ETH (420000000000000)',
  },
  details: {
    type: 2,
    chainId: '1',
    nonce: '9',
    maxPriorityFeePerGas: '1000000000',
    maxFeePerGas: '20000000000',
    gas: '21000',
    to: '0x3535353535353535353535353535353535353535',
    value: '1000000000000000000',
    data: '0x',
    accessList: [],
  },
  signatures: [
    {
      signer: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf',
      signature: 'z9rd2R7NRA1ZrI4ucJKQTlutQdSURzv97OKN3fFvnsAGFq+DFlTsEwjRHrLFSaTGvHRp07wPDi5BN8ZT/aDw/Bw=',
      record_id: sampleRecordId,
      key_version: 1,
    },
  ],
  transaction:
    '0x02f8730109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c001a0cfdaddd91ecd440d59ac8e2e7092904e5bad41d494473bfdece28dddf16f9ec0a00616af831654ec1308d11eb2c549a4c6bc7469d3bc0f0e2e4137c653fda0f0fc',
  hash: '0x6d9b195fbbb2e47a0e3269cc93637b3840acc16cb06550d2cf0d585e2c697212',
  complete: true,
}

/** SHA-256 of its effects as long as nobody says who signs. */
export const sampleUnsignedEffectsHash = '5b48398a258e788587b316104f8e8943f011b004c745a3d386e9af609f037183'

/** `hello`, signed by the private key 1 (EIP-191). */
export const sampleMessage = {
  key_id: sampleKeyId,
  key_version: 1,
  record_id: sampleRecordId,
  chain: 'eip155:1',
  effects: [
    {
      kind: 'message',
      signer: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf',
      convention: 'eip191',
      text: 'hello',
      hash: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
    },
  ],
  effects_text: ['Sign a message (eip191) as 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf: "hello"'],
  effects_hash: '79c7cf8d1a9fb3ff76d6195e8e2c812c28f8ae91f26218ec047b719f75eb7459',
  warnings: [],
  signer: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf',
  signature:
    '0xe5ddc160e4c8f92de507c7db9b982d4f9b7197bfa421864aeadc586bc96b09ae0ba0c5b131650ae4994cff1839341d00f3735ef5abc62ac8fe2cf50f65208e2a1b',
}
