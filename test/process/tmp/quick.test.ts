import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startEngine } from '/work/wt/backward/test/support/engine.js';
const engine = startEngine();
const golden = JSON.parse(readFileSync('/work/wt/backward/test/references/gradients.json','utf8'));
it.each(['llama','llama-plain','llama-sink','llama-bias'])('%s', async (name) => {
  const g = golden[name];
  for await (const e of engine.run('gradients', { model: `/work/wt/backward/media/models/${name}/model.onnx`, prompt: { ids: g.ids }, of: {kind:'loss'}, memory: 2**31, threads: 1 })) {
    if (e.type==='objective') console.log('loss', e.value, g.loss, e.scored);
    else if (e.type==='gradient') { const w=g.norm[e.layer]; console.log(e.layer, Math.max(...w.map((x:number,i:number)=>Math.abs(x-e.norms[i]!)))/Math.max(...w)); }
    else if (e.type!=='tokens' && e.type!=='started') console.log(JSON.stringify(e));
  }
});
