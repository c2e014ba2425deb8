import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readTexts } from '../../../src/experiments/shared/files.js';
import { noReader as reader, temporaryFolder } from '../../support/experiments.js';

const namesOf = async (paths: readonly string[]) => {
  const names: string[] = [];
  for await (const { name, text } of readTexts(paths, reader)) names.push(`${name}: ${text}`);
  return names;
};

it('reads files, and the texts of folders by name', async () => {
  const folder = await temporaryFolder();
  for (const name of ['b.txt', 'a.MD', 'c.png']) await writeFile(join(folder, name), name);
  await mkdir(join(folder, 'd.md'));
  expect(await namesOf([join(folder, 'c.png'), folder])).toEqual(['c.png: c.png', 'a.MD: a.MD', 'b.txt: b.txt']);
});

it('reads a text only when it is wanted', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'a.txt'), 'a');
  const texts = readTexts([join(folder, 'a.txt'), join(folder, 'none.txt')], reader);
  expect((await texts.next()).value).toEqual({ name: 'a.txt', file: join(folder, 'a.txt'), text: 'a' });
  await expect(texts.next()).rejects.toMatchObject({ code: 'file', file: join(folder, 'none.txt') });
});

it('says what is wrong with a folder without texts, and with a file that is no text', async () => {
  const folder = await temporaryFolder();
  await expect(namesOf([folder])).rejects.toThrow(`${folder} has no .txt, .md, .jsonl or .parquet file.`);
  await writeFile(join(folder, 'a.txt'), Uint8Array.of(0xff, 0xfe, 0x00));
  await expect(namesOf([folder])).rejects.toThrow(/a\.txt is not UTF-8 text/);
});

it('leaves pipes and devices in a folder alone, and reads through links to files', async () => {
  const folder = await temporaryFolder();
  execFileSync('mkfifo', [join(folder, 'a.txt')]);
  await symlink('/dev/zero', join(folder, 'b.txt'));
  await writeFile(join(folder, 'original'), 'c');
  await symlink(join(folder, 'original'), join(folder, 'c.txt'));
  expect(await namesOf([folder])).toEqual(['c.txt: c']);
});

it('stops reading what has no end', async () => {
  await expect(namesOf(['/dev/zero'])).rejects.toThrow(/zero could not be read: it has more than the 50331651 bytes/);
});
