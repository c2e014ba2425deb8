/** Picture files of every format, damaged in many ways: each is a picture or a sentence, in one process. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { readPicture } from '../../../src/tokens/picture.js';
import { damaged, randomFrom } from '../../support/damaged.js';
import { write } from './support.js';

const folder = fileURLToPath(new URL('../../references/images/', import.meta.url));
const names = readdirSync(folder).filter((name) => name.includes('.'));

it('damaged pictures are pictures or are refused in a sentence', async () => {
  const before = process.memoryUsage.rss();
  for (let seed = 0; seed < 8 * names.length; seed++) {
    const name = names[seed % names.length] ?? '';
    const random = randomFrom(seed);
    const file = write(damaged(readFileSync(join(folder, name)), random));
    const read = await readPicture(file).catch((error) => error);
    if ('rgb' in read) expect(read.rgb.length, `${name}, seed ${seed}`).toBe(3 * read.width * read.height);
    else {
      expect(SinkscopeError.is(read, 'input'), `${name}, seed ${seed}: ${read}`).toBe(true);
      expect(read.message, `${name}, seed ${seed}`).toMatch(/^\/.* (is|has|becomes) .*[;,.].*\.$/);
    }
  }
  expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 30);
});
