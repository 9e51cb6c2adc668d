import { createRequire } from 'node:module'
import crypto from 'node:crypto'
import { makePlace, startSigner, connectTo, makeLog, makeKey, makeItem } from './signer.fixture.ts'
const secp = createRequire(import.meta.url)('secp256k1/bindings')
const place = await makePlace()
const s = await startSigner(place, {arenaSlots: 4096})
const c = await connectTo(place)
const log = await makeLog(c)
const keys = await Promise.all(Array.from({length: Number(process.env.KEYS ?? 100)}, () => makeKey(c, log)))
const items: any[] = []
for (let i = 0; i < 2000; i++) { const d = crypto.randomBytes(200); const it = makeItem(log, keys[i % keys.length]!, d); items.push({...it, deadline: Date.now()+50000}) }
console.log('leaf', items[0].leaf.length, 'spec', items[0].material.spec.length)
const k = crypto.randomBytes(32), d = crypto.randomBytes(32)
function bare(ms: number) { let n = 0; const t = performance.now(); while (performance.now() - t < ms) { for (let i=0;i<50;i++) secp.ecdsaSign(d, k); n+=50 } return n / ((performance.now()-t)/1000) }
async function run(ms: number, batch: number, flight: number) {
  let n = 0, bad = 0; const t = performance.now()
  await Promise.all(Array.from({length: flight}, async (_, f) => { let at = f * 100
    while (performance.now() - t < ms) { const some = items.slice(at % 1900, at % 1900 + batch); at += batch; const a = await c.sign(some); for (const r of a.results) { n++; if (r.kind !== 'signed') {bad++; if (bad<3) console.log(r)} } 
      for (const o of a.statementDue) await c.statement([{organization: o, last: crypto.randomBytes(32)}]) } }))
  return [n / ((performance.now()-t)/1000), bad]
}
for (let i=0;i<2;i++) { const b = bare(1500); const [r,bad] = await run(3000, 100, 4); console.log('bare', b|0, 'socket', r!|0, (r!/b).toFixed(3), 'us/sig beyond', (1e6/r!-1e6/b).toFixed(2), 'bad', bad) }
const [r1] = await run(1500, 1, 16); console.log('singles', r1!|0)
await c.close(); await s.kill('SIGTERM'); place.remove()
