/** Models whose head is no vocabulary, and inputs that nobody gave, as the command line's users meet them. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSafetensors } from '../../../src/statistics/safetensors.js';
import { at } from '../../support/lists.js';
import { analyze, path, printed, sinkscope } from './here.js';

const family = (name: string, file = 'model.onnx') => path(`test/zoo/families/${name}/${file}`);
const classifier = 'bert-seqcls-dy20';

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sinkscope-'));
  model = join(folder, 'model.onnx');
  await copyFile(family(classifier), model);
  const id2label = { 0: 'negative', 1: 'neutral', 2: 'positive' };
  await writeFile(join(folder, 'config.json'), JSON.stringify({ id2label }));
  const vocab = Object.fromEntries('? Summer is warm .'.split(' ').map((word, id) => [word, id + 3]));
  const words = { type: 'WordLevel', vocab, unk_token: '?' };
  const tokenizer = { version: '1.0', added_tokens: [], pre_tokenizer: { type: 'Whitespace' }, model: words };
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a classifier', () => {
  it('gives its classes, named and with the probabilities of PyTorch’s logits', async () => {
    const feeds = family(classifier, 'golden.safetensors');
    const golden = await openSafetensors(feeds);
    const logits = [...new Float32Array((await golden.tensor('logits')).bytes.buffer)];
    const { outputs, predictions, inputs } = await analyze(model, '--feeds', feeds);
    expect(predictions).toBeNull();
    const [output] = outputs ?? [];
    expect([output?.name, output?.kind]).toEqual(['logits', 'classes']);
    const sum = logits.reduce((total, x) => total + Math.exp(x), 0);
    for (const { index, label, value, probability } of at(output?.rows ?? [], 0).top) {
      expect(label).toBe(['negative', 'neutral', 'positive'][index]);
      expect(value).toBeCloseTo(at(logits, index), 4);
      expect(probability).toBeCloseTo(Math.exp(at(logits, index)) / sum, 5);
    }
    expect(inputs.map(({ name, role, how }) => [name, role, how])).toEqual([
      ['input_ids', 'token-ids', 'as it was given'],
      ['attention_mask', 'attention-mask', 'as it was given'],
      ['token_type_ids', 'token-type-ids', 'as it was given'],
    ]);
  });

  it('takes texts, and prints its classes in the place of predictions', async () => {
    const shown = await printed('analyze', model, '--text', 'Summer is warm.');
    expect(shown).toContain('Output logits: classes (as many columns as its config.json names classes)');
    expect(shown).toMatch(/ % {2}\S+ {2}positive$/m);
    expect(shown).not.toContain('Next token');
  });

  it('says what the ids are bounded by', async () => {
    const { stderr } = await sinkscope('analyze', model, '--ids', '1,160');
    expect(stderr).toMatch(/Token 1 has id 160, but the model's ids are whole numbers from 0 to \d{2,3}\./);
  });
});

describe('an input that nobody gave', () => {
  it('is recorded, and a guess is said', async () => {
    const boxes = family('input-boxes');
    const { inputs } = await analyze(boxes, '--ids', '5,6,7');
    expect(inputs.filter(({ guessed }) => guessed).map(({ name, role }) => [name, role])).toEqual([
      ['bbox', 'coordinates'],
    ]);
    expect(await printed('analyze', boxes, '--ids', '5,6,7')).toMatch(/^Input bbox guessed: .*zeros$/m);
    expect(await printed('inspect', boxes)).toMatch(/bbox .*\(guessed\)$/m);
  });

  it('is asked for by name', async () => {
    const { code, stderr } = await sinkscope('analyze', family('input-codebooks'), '--ids', '5,6,7');
    expect(code).toBe(1);
    expect(stderr).toMatch(/Input "input_ids" \(int64 \[4, s\]\) has to be given .*: token ids of 4 tables/);
  });
});
