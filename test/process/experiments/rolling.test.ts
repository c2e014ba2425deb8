import { expect, it } from 'vitest';
import { budget, boats, demoModel, fixtureModel, startEngine, text } from '../../support/experiments.js';
const engine = startEngine();
it.each(['llama','llama-sink','llama-plain','llama-bias'])('try %s', async (name) => {
  const model = demoModel(name);
  const enc = await engine.encode(model, text(boats), { most: 700 });
  const ids = [...(enc.prefix===undefined?[]:[enc.prefix]), ...enc.ids].slice(0, 640);
  const kept = { window: 64, sinks: 4 };
  const ways = [
    { name: 'all', positions: 'sequence' },
    { name: 'w', kept: { window: 64, sinks: 0 }, positions: 'sequence' },
    { name: 'ws', kept, positions: 'sequence' },
    { name: 'cache', kept, positions: 'cache' },
    { name: 'int8', kept, positions: 'cache', rounded: { bits: 8, float: 0 } },
    { name: 'int4', kept, positions: 'cache', rounded: { bits: 4, float: 0 } },
    { name: 'int4f', kept, positions: 'cache', rounded: { bits: 4, float: 4 } },
  ] as const;
  const t = performance.now();
  for await (const e of engine.run('rolling', { model, ids: ids.slice(0, name==='llama'?640:500), ways, ...budget })) {
    if (e.type === 'failed') throw new Error(JSON.stringify(e.problem));
    if (e.type === 'streamed') console.log(name, ways[e.way]?.name, Math.exp(e.losses.reduce((a,b)=>a+b,0)/e.losses.length), e.why, e.bytes, e.perSecond, performance.now()-t);
  }
}, 120000);
