import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ChatRole } from '../../../src/tokens/token.js';
import { folder, load, root } from './support.js';

interface Case {
  readonly template: string;
  readonly text: string;
  readonly system: string | null;
  readonly ids?: readonly number[];
  /** What is written for the generation prompt, where that comes last. */
  readonly answer?: string;
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
const place = folder({
  'tokenizer.json': json,
  'tokenizer_config.json': { bos_token: '<s>', eos_token: '</s>' },
  'chat_template.jinja': '',
});
const tokenizer = load(place);
const chatOf = ({ system }: Case) => (system === null ? {} : { system });
/** What is said of these, whatever transformers does: tokens have no place in what they write. */
const refused: Record<string, string> = { changes: "changes the user's text", twice: "writes the user's text 2 times" };

describe('a text as a turn of a chat', () => {
  it.each(Object.entries(templates))('has the ids of transformers, %s', async (name, template) => {
    writeFileSync(join(place, 'chat_template.jinja'), template);
    for (const one of cases.filter((other) => other.template === name)) await agrees(one);
  });

  async function agrees(one: Case): Promise<void> {
    const asked = tokenizer.encode(one.text, { bos: undefined, chat: chatOf(one) });
    const sentence = one.raises ?? refused[one.template];
    if (sentence !== undefined) {
      await expect(asked).rejects.toThrow(sentence);
      return;
    }
    const { tokens, prefix, suffix } = await asked;
    expect([...tokens.ids]).toEqual(one.ids);
    const all = [...tokens];
    const wordsOf = (role: ChatRole) =>
      all
        .filter((token) => token.role === role)
        .map(({ text }) => text)
        .join('');
    // A token may begin with a blank that is not part of what it is named for.
    expect(wordsOf('system').trim()).toBe(one.system ?? '');
    if (one.answer !== undefined) expect(wordsOf('assistant').trim()).toBe(one.answer.trim());
    for (const { start, end, special, role } of [...all.slice(0, prefix), ...all.slice(all.length - suffix)]) {
      expect(start).toBe(end);
      expect(special).toBe(true);
      expect(role).not.toBe('user');
    }
    const own = all.slice(prefix, all.length - suffix);
    expect(own.every(({ role }) => role === 'user')).toBe(true);
    // Every character that is no blank at an end is under a token of its own text.
    expect(one.text.slice(own[0]?.start, own.at(-1)?.end).trim()).toBe(one.text.trim());
  }

  it('keeps the places of a document whose lines end otherwise, and puts a prefix there or takes it off', async () => {
    writeFileSync(join(place, 'chat_template.jinja'), templates['Llama 3'] ?? '');
    const text = '\r\nOne.\r\nTwo.';
    const read = (bos?: boolean) => tokenizer.encode(text, { bos, chat: {} });
    const { tokens, changed } = await read();
    expect(changed).toBe(2);
    const own = [...tokens].filter(({ role }) => role === 'user');
    expect(text.slice(own[0]?.start, own.at(-1)?.end)).toBe('One.\r\nTwo.');
    expect([...(await read(false)).tokens.ids]).toEqual([...tokens.ids].slice(1));
    expect([...(await read(true)).tokens.ids]).toEqual([...tokens.ids]);
  });

  it('takes the template of the first file that has one, as transformers does', async () => {
    const written = async (files: Record<string, unknown>) => {
      const { tokens } = await load(folder({ 'tokenizer.json': json, ...files })).encode('x', {
        bos: undefined,
        chat: {},
      });
      return [...tokens].map(({ text }) => text).join('');
    };
    const of = (name: string) => ({ chat_template: `${name}{{ messages[0].content }}` });
    const all = { 'chat_template.json': of('J'), 'tokenizer_config.json': of('C') };
    expect(await written({ ...all, 'chat_template.jinja': 'T{{ messages[0].content }}' })).toContain('Tx');
    expect(await written(all)).toContain('Cx');
    expect(await written({ 'chat_template.json': of('J') })).toContain('Jx');
    const several = [
      { name: 'rag', template: 'R' },
      { name: 'default', template: 'D{{ messages[0].content }}' },
    ];
    expect(await written({ 'tokenizer_config.json': { chat_template: several } })).toContain('Dx');
  });

  it('says what a template is in need of that refuses', async () => {
    const sentence = (template: string) => {
      writeFileSync(join(place, 'chat_template.jinja'), template);
      return tokenizer.encode('text', { bos: undefined, chat: {} }).then(
        () => '',
        (error: unknown) => String(error),
      );
    };
    const needs = "{% if not tools %}{{ raise_exception('Give tools') }}{% endif %}";
    expect(await sentence(needs)).toContain('Give tools. It knows of tools, which are not given to templates here.');
    expect(await sentence("{{ messages[0].content[0]['image'].url }}")).toContain('It knows of pictures');
    expect(await sentence('{% for %}')).toContain('cannot be read');
  });

  it('is said to have no template, or one that is too large', async () => {
    const none = load(folder({ 'tokenizer.json': json }));
    await expect(none.encode('text', { bos: undefined, chat: {} })).rejects.toThrow('There is no chat template beside');
    const large = load(folder({ 'tokenizer.json': json, 'chat_template.jinja': 'x'.repeat(2 ** 16 + 1) }));
    await expect(large.encode('text', { bos: undefined, chat: {} })).rejects.toThrow('larger (65537 bytes)');
  });
});
