import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder, load, root } from './support.js';

interface Case {
  readonly template: string;
  readonly text: string;
  readonly system: string | null;
  readonly ids?: readonly number[];
  readonly raises?: string;
}
const { templates, cases }: { templates: Record<string, string>; cases: Case[] } = JSON.parse(
  readFileSync(join(root, 'test/references/chat.json'), 'utf8'),
);
/** The demo model's, with the two tokens that transformers adds to it when it is told of them. */
const json = JSON.parse(readFileSync(join(root, 'media/models/llama/tokenizer.json'), 'utf8'));
for (const [i, content] of ['<s>', '</s>'].entries()) {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  json.added_tokens.push({ id: 8192 + i, content, ...flags });
}
const special = { bos_token: '<s>', eos_token: '</s>' };
const chatOf = ({ system }: Case) => (system === null ? {} : { system });
/** What is said of these, whatever transformers does: tokens have no place in what they write. */
const refused: Record<string, string> = { changes: "changes the user's text", twice: "writes the user's text 2 times" };

describe('a text as a turn of a chat', () => {
  it.each(cases)('has the ids of transformers, $template, $system, $text', async (one) => {
    const template = templates[one.template] ?? '';
    const tokenizer = load(
      folder({ 'tokenizer.json': json, 'tokenizer_config.json': { ...special, chat_template: template } }),
    );
    const asked = tokenizer.encode(one.text, { bos: undefined, chat: chatOf(one) });
    const sentence = one.raises ?? refused[one.template];
    if (sentence !== undefined) {
      await expect(asked).rejects.toThrow(sentence);
      return;
    }
    const { tokens, prefix, suffix } = await asked;
    expect([...tokens.ids]).toEqual(one.ids);
    const all = [...tokens];
    for (const { start, end, special } of [...all.slice(0, prefix), ...all.slice(all.length - suffix)]) {
      expect(start).toBe(end);
      expect(special).toBe(true);
    }
    const own = all.slice(prefix, all.length - suffix);
    // Every character that is no blank at an end is under a token of its own text.
    expect(one.text.slice(own[0]?.start, own.at(-1)?.end).trim()).toBe(one.text.trim());
  });

  it('is said to have no template, or one that is too large', async () => {
    const none = load(folder({ 'tokenizer.json': json }));
    await expect(none.encode('text', { bos: undefined, chat: {} })).rejects.toThrow('There is no chat template beside');
    const large = load(folder({ 'tokenizer.json': json, 'chat_template.jinja': 'x'.repeat(2 ** 16 + 1) }));
    await expect(large.encode('text', { bos: undefined, chat: {} })).rejects.toThrow('larger (65537 bytes)');
  });
});
