/** Reads and recognises one generated model and tells its parent what that took. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { recognise } from '../../src/anatomy/recognise.js';
import { prepare } from '../../src/onnx/prepare.js';
import { readModel } from '../../src/onnx/read.js';
import { weightBytes } from '../../src/onnx/weights.js';
import { writeLlama } from './models.js';

const [folder = '', layers = ''] = process.argv.slice(2);
const file = join(folder, `llama-${layers}`, 'model.onnx');
if (!existsSync(file)) writeLlama(folder, Number(layers));

const started = performance.now();
const model = prepare(readModel(file));
const read = performance.now();
const anatomy = recognise(model);
const ended = performance.now();
if (anatomy.layers !== Number(layers)) throw new Error(`${anatomy.layers} blocks were recognised, not ${layers}`);

process.send?.({
  total: ended - started,
  recognise: ended - read,
  nodes: model.graph.nodes.length,
  bytes: weightBytes(model),
  memory: process.resourceUsage().maxRSS * 1024,
});
