/** What is recognised of every fixture, held against the facts that its maker wrote down. */
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Anatomy } from '../../../src/anatomy/anatomy.js';
import { recognise } from '../../../src/anatomy/recognise.js';
import { prepare } from '../../../src/onnx/prepare.js';
import { readModel } from '../../../src/onnx/read.js';
import { anatomyOf, type Fixture, fixture, folders } from '../../zoo/known.js';

describe('facts of every fixture', () => {
  it.each(folders.map((folder) => [basename(folder), folder] as const))('%s', async (_, folder) => {
    const known = await fixture(folder);
    const found = anatomyOf(readModel(join(folder, 'model.onnx')), known);
    expect(found).toMatchObject(expected(known));
    expect(roles(found)).toMatchObject(feeds(known));
  });
});

/** The facts that a fixture states; the MLP's width goes without saying where there is no one MLP. */
function expected(known: Fixture) {
  const { layers, hidden, heads, kv_heads, head_dim, mlp_hidden, parallel_block } = known;
  const facts = { layers, hidden, heads, kvHeads: kv_heads, headDim: head_dim, mlpHidden: mlp_hidden };
  const stated = Object.entries(facts).filter(([, fact]) => fact !== undefined && fact !== null);
  return { ...Object.fromEntries(stated), parallelBlock: parallel_block };
}

function roles(anatomy: Anatomy): Record<string, string> {
  return Object.fromEntries(anatomy.inputs.map(({ name, role }) => [name, role]));
}

/** Roles by what `fixture.json` says of how the feed was made. */
function feeds({ inputs }: Fixture): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { name, feed } of inputs) {
    const role = meanings.find(([words]) => feed !== undefined && words.test(feed))?.[1];
    if (role !== undefined) found[name] = role;
  }
  return found;
}

const either = (...roles: string[]) => expect.toBeOneOf(roles);

const meanings: readonly (readonly [RegExp, unknown])[] = [
  [
    /^given/,
    either(
      'token-ids',
      'features',
      'attention-mask',
      'pair-mask',
      'token-type-ids',
      'order',
      'past',
      'past-length',
      'total-length',
    ),
  ],
  [/^ones/, either('attention-mask', 'unused')],
  [/^0\.\.T-1/, either('position-ids', 'unused')],
  [/^empty past/, either('past', 'unused')],
  [/^zeros/, either('token-type-ids', 'unused')],
  [/^false/, either('flag', 'unused')],
];

/** Every fixture was made for 64 positions; OPT's table has two rows more, since its positions begin at 2. */
it.each(folders.map((folder) => basename(folder)).filter((name) => /^(gpt2|opt|bert|nanogpt)/.test(name)))(
  '%s has positions in a table, which bounds the context',
  (name) => {
    const folder = folders.find((path) => basename(path) === name) ?? '';
    expect(recognise(prepare(readModel(join(folder, 'model.onnx')))).context).toBe(64);
  },
);
