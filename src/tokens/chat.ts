/**
 * A text as a turn of a chat: the template that lies beside a model writes what stands around it. A template is foreign
 * code, which is why it runs in the engine's child alone, under the guard, and why it and what it writes are bounded.
 */
import { Template } from '@huggingface/jinja';
import * as v from 'valibot';
import { grouped, SinkscopeError } from '../errors.js';
import type { ModelFolder } from '../models/folder.js';
import { readJson, readTextFile } from '../models/json.js';
import { byName } from '../schemas.js';
import { named as shortened } from '../visible.js';

/** Bytes of a template; published ones have a few thousand. */
const maxTemplate = 2 ** 16;

/** Characters that a template may write beside what it is given. */
const maxWritten = 2 ** 20;

/** Bytes of the JSON files in which a template may stand. */
const maxJson = 16 * 2 ** 20;

/** A text is the user's turn; the system's comes before it, where there is one. */
export interface Chat {
  readonly system?: string | undefined;
}

/** What a template makes of a text. */
export interface ChatTurn {
  /** All of it, the beginning of the answer included. */
  readonly written: string;
  /** Where the user's text stands in it, first and after the last character. */
  readonly start: number;
  readonly end: number;
  /** Characters at the front of the user's text that the template leaves out: blanks alone. */
  readonly dropped: number;
  /** Where the system's text stands in it; undefined where there is none, or it does not stand there as it is. */
  readonly system: readonly [from: number, to: number] | undefined;
  /** Where the beginning of the answer stands; its length, where the template writes none. */
  readonly answer: number;
  /** What is to be told with it: what it is about, a colon, and what is so. */
  readonly remark: string | undefined;
}

/** Called with a file before what it says is applied to a text. */
type OnApply = (file: string) => void;

/**
 * The text as the user's turn, with the beginning of an answer, as `apply_chat_template(messages,
 * add_generation_prompt=True)` of transformers writes it.
 *
 * Where the texts stand is found by writing others in their place: what comes before and after is the template's. Where
 * the answer begins, by leaving its beginning out.
 *
 * @throws SinkscopeError `input` where there is no template, it raises, or it does not write the text once as it is;
 *   `tokenizer` where it cannot be read, or is too large
 */
export function asTurn(text: string, { system }: Chat, folder: ModelFolder, onApply: OnApply = () => {}): ChatTurn {
  const { file, template, tokens } = findTemplate(folder);
  onApply(file);
  const fail = (what: string, detail?: string): never => {
    throw new SinkscopeError({ code: 'input', file, detail, message: `The chat template in ${file} ${what}` });
  };
  const parsed = attempt(
    () => new Template(template),
    (why) => fail(`cannot be read (${why}); run the text without --chat, or correct the template.`),
  );
  const write = (user: string, before = system, isAsked = true): string => {
    const messages = [
      ...(before === undefined ? [] : [{ role: 'system', content: before }]),
      { role: 'user', content: user },
    ];
    const given = { ...tokens, messages, tools: null, documents: null, add_generation_prompt: isAsked };
    const written = attempt(
      () => parsed.render(given),
      (why) => fail(`refuses this chat: ${why}${/[.!?]$/.test(why) ? '' : '.'}${needs(template, system)}`, why),
    );
    if (written.length <= maxWritten + user.length + (system?.length ?? 0)) return written;
    return fail(
      `writes ${grouped(written.length)} characters around the text, and at most ${grouped(maxWritten)} are taken; use another.`,
    );
  };

  const written = write(text);
  const stand = standIn([text, system ?? '', template]);
  const [before = '', after, ...more] = write(stand).split(stand);
  if (after === undefined || more.length > 0) {
    const times = after === undefined ? 'not at all' : `${more.length + 1} times`;
    return fail(`writes the user's text ${times}, so its tokens have no one place in it.${needs(template, undefined)}`);
  }
  const [start, end] = [before.length, written.length - after.length];
  const kept = end < start ? undefined : written.slice(start, end);
  const dropped = kept === undefined ? -1 : text.indexOf(kept);
  const isWhole =
    kept !== undefined &&
    dropped >= 0 &&
    (text.slice(0, dropped) + text.slice(dropped + kept.length)).trim() === '' &&
    written.startsWith(before) &&
    written.endsWith(after);
  if (kept === '') return fail('leaves nothing of this text; select some with more than blanks, or write some.');
  if (!isWhole) return fail("changes the user's text, so its tokens cannot be shown in it; run it without --chat.");
  const marked = system === undefined ? undefined : write(stand, `${stand}\uE002`).split(stand);
  return {
    written,
    start,
    end,
    dropped,
    remark: /\bstrftime_now\b/.test(template)
      ? 'chat template: it may write the date of today, and then other tokens tomorrow'
      : undefined,
    system: marked && systemIn(before, marked),
    // A template that always writes one, or never, says no more by being refused.
    answer: Math.max(
      end,
      common(
        written,
        attempt(
          () => write(text, system, false),
          () => written,
        ),
      ),
    ),
  };
}

/**
 * Where the system's text is in what stands before the user's.
 *
 * @param before all of that
 * @param marked what is written with stand-ins, cut at them: the system's has one more character, the first of its rest
 */
function systemIn(before: string, [head, rest, ...more]: readonly string[]): ChatTurn['system'] {
  if (head === undefined || rest === undefined || more.length !== 1) return undefined;
  const tail = rest.slice(1);
  const [from, to] = [head.length, before.length - tail.length];
  return from < to && before.startsWith(head) && before.endsWith(tail) ? [from, to] : undefined;
}

/** How many characters two texts begin with alike. */
function common(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}

/** What a template that refuses may be in need of. */
function needs(template: string, system: string | undefined): string {
  const wanted = [
    ...(/['"]image(_url)?['"]/.test(template) ? ['pictures'] : []),
    ...(/\btools\b/.test(template) ? ['tools'] : []),
  ];
  const given =
    wanted.length === 0 ? '' : ` It knows of ${wanted.join(' and ')}, which are not given to templates here.`;
  return `${given}${system === undefined ? '' : ' Leave out --system if it takes none.'}`;
}

/** What is done, or what is said of why it cannot be; the end of the stack and of strings among it. */
function attempt<T>(act: () => T, otherwise: (why: string) => T): T {
  try {
    return act();
  } catch (error) {
    return otherwise(shortened(error instanceof Error ? error.message : String(error)));
  }
}

/** A word that is in none of these, and that trimming, and upper or lower case, leave as it is. */
function standIn(texts: readonly string[]): string {
  let word = '\uE000\uE001';
  while (texts.some((text) => text.includes(word))) word += '\uE001';
  return word;
}

const token = v.union([
  v.string(),
  v.pipe(
    v.object({ content: v.string() }),
    v.transform(({ content }) => content),
  ),
]);
const named = v.object({ name: v.string(), template: v.string() });
const template = v.union([
  v.string(),
  v.pipe(
    v.array(named),
    v.transform((all) => all.find(({ name }) => name === 'default')?.template),
  ),
  v.pipe(
    byName(v.string()),
    v.transform((all) => all.get('default')),
  ),
]);

/**
 * The template beside a model, in the order in which transformers takes them, and the special tokens by the names that
 * templates know them by (`bos_token`).
 */
function findTemplate({ chatTemplate, chatTemplateJson, tokenizerConfig, tokenizer }: ModelFolder) {
  const config = tokenizerConfig === undefined ? {} : readJson(tokenizerConfig, maxJson, 'tokenizer');
  const tokens = Object.fromEntries(
    Object.entries(config).flatMap(([name, value]) => {
      const parsed = v.safeParse(token, value);
      return name.endsWith('_token') && parsed.success ? [[name, parsed.output]] : [];
    }),
  );
  const found = (file: string, value: unknown) => {
    const parsed = v.safeParse(template, value);
    if (!parsed.success || parsed.output === undefined) return undefined;
    const bytes = Buffer.byteLength(parsed.output);
    if (bytes <= maxTemplate) return { file, template: parsed.output, tokens };
    throw new SinkscopeError({
      code: 'tokenizer',
      file,
      message: `The chat template in ${file} has ${grouped(bytes)} bytes, and at most ${grouped(maxTemplate)} are taken; run the text without --chat.`,
    });
  };
  const first =
    (chatTemplate && found(chatTemplate, readTextFile(chatTemplate, maxTemplate, 'tokenizer'))) ??
    (tokenizerConfig && found(tokenizerConfig, config.chat_template)) ??
    (chatTemplateJson && found(chatTemplateJson, readJson(chatTemplateJson, maxJson, 'tokenizer').chat_template));
  if (first) return first;
  throw new SinkscopeError({
    code: 'input',
    file: tokenizer,
    message: `There is no chat template beside ${tokenizer} (chat_template.jinja, or chat_template in tokenizer_config.json or chat_template.json); put the model's own there, or run the text without --chat.`,
  });
}
