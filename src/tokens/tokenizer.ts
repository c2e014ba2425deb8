/** Text to tokens with their places in it, and ids to text. */
import { join } from 'node:path';
import { Tokenizer as Native } from 'tokenizers';
import { grouped, SinkscopeError } from '../errors.js';
import { isFolder, type ModelFolder, modelFolder } from '../models/folder.js';
import { readJson } from '../models/json.js';
import { asTurn, type Chat, type ChatTurn } from './chat.js';
import { type LineEnds, type ReadText, textAsRead } from './line-ends.js';
import { lostCharacters } from './lost.js';
import { type Range, textRanges } from './offsets.js';
import { encodeParts, type PlacedIds } from './parts.js';
import { pieceText, type Spelling } from './pieces.js';
import { type Frame, findFrame } from './prefix.js';
import type { ChatRole } from './token.js';
import {
  growthOf,
  largestId,
  parseTokenizerFile,
  spellingOf,
  type TokenizerFile,
  withoutDropout,
} from './tokenizer-file.js';
import { Tokens } from './tokens.js';

/** Tokenizer files reach 35 MB (Gemma); far beyond that it is something else. */
const maxBytes = 256 * 2 ** 20;

/** Characters of a text, for each of which tokens take some bytes, and the library a microsecond. */
const maxLength = 2 ** 24;

/** Characters that the library is given at once: it takes about 200 bytes for each. */
const partLength = 2 ** 17;

/** The same where only the first tokens are wanted: at the least, and for each of them, which is many times what one has. */
const shortPart = { least: 2 ** 14, perToken: 32 };

export interface Encoding {
  /** Whether the prefix token is put before the text; undefined: as the model's files say. */
  readonly bos: boolean | undefined;
  /** How line ends are read; by default as LF. */
  readonly lineEnds?: LineEnds | undefined;
  /** The text is the user's turn of a chat, as the template beside the model writes it; by default it stands alone. */
  readonly chat?: Chat | undefined;
  /** How many of the text's own tokens are wanted, the first ones; by default all. */
  readonly most?: number | undefined;
  /** Called with the tokenizer's file before each part of a text, and with the template's before it is applied. */
  readonly onPart?: ((file: string) => void) | undefined;
}

export interface Encoded {
  /** What the model is fed, prefix and suffix included; none for a text that has no token. */
  readonly tokens: Tokens;
  /** True where the model's prefix token (BOS) is at the front, as put there or as written in the text. */
  readonly bos: boolean;
  /** How many of `tokens` were put before the text's own, and after them (`</s>`, `[SEP]`, what a chat template wrote). */
  readonly prefix: number;
  readonly suffix: number;
  /** Characters of the text, up to the last token wanted, that no token stands for, or only the unknown one. */
  readonly lost: number;
  /** Line ends that were read as LF and are something else. */
  readonly changed: number;
  /** What is to be told of what stands around the text: what it is about, a colon, and what is so. */
  readonly remark?: string | undefined;
}

/**
 * The tokenizer of a model.
 *
 * @param path the model's `.onnx` file, its folder, or a `tokenizer.json`
 * @returns undefined where the model has none
 * @throws SinkscopeError `tokenizer` for a file that is broken or of an unknown kind
 */
export function loadTokenizer(path: string): Tokenizer | undefined {
  const isOne = isFolder(path);
  const folder = modelFolder(isOne ? join(path, 'model.onnx') : path);
  const file = path.endsWith('.json') && !isOne ? path : folder.tokenizer;
  if (file === undefined) return undefined;

  const json = readJson(file, maxBytes, 'tokenizer');
  const content = parseTokenizerFile(json, file);
  const steady = withoutDropout(json);
  let native: Native;
  try {
    native = steady === json ? Native.fromFile(file) : Native.fromString(JSON.stringify(steady));
  } catch (error) {
    throw unusable(file, error);
  }
  // Files often carry the padding and the length that some training run had.
  native.disableTruncation();
  native.disablePadding();
  return new Tokenizer(
    file,
    native,
    content,
    findFrame(content, folder, (token) => native.tokenToId(token)),
    folder,
    steady === json
      ? undefined
      : 'dropout of the tokenizer: it is switched off, so that a text is the same tokens each time',
  );
}

export class Tokenizer {
  /** The `tokenizer.json`. */
  readonly file: string;
  /** The largest id it gives to ordinary text, plus one; tokens that were added to the vocabulary may lie beyond. */
  readonly vocabularySize: number;
  /** The prefix token, where the model's files name one, and whether it is put before a text by default. */
  readonly bos: { readonly ids: readonly number[]; readonly text: string; readonly byDefault: boolean } | undefined;
  readonly #native: Native;
  readonly #spelling: Spelling;
  readonly #added: ReadonlyMap<number, { readonly content: string; readonly special: boolean }>;
  readonly #frame: Frame;
  readonly #folder: ModelFolder;
  readonly #unknown: number | undefined;
  readonly #partLength: number;
  readonly #texts = new Map<number, string>();

  /** @param remark what is to be told with every text: what it is about, a colon, and what is so */
  constructor(
    file: string,
    native: Native,
    content: TokenizerFile,
    frame: Frame,
    folder: ModelFolder,
    readonly remark: string | undefined,
  ) {
    this.file = file;
    this.#native = native;
    this.#spelling = spellingOf(content);
    this.#added = new Map(content.added_tokens.map((token) => [token.id, token]));
    this.#frame = frame;
    this.#folder = folder;
    this.#partLength = Math.ceil(partLength / growthOf(content));
    const { unk_id, unk_token } = content.model;
    this.#unknown = unk_id ?? (unk_token ? (native.tokenToId(unk_token) ?? undefined) : undefined);
    this.vocabularySize = largestId(content) + 1;
    this.bos =
      frame.prefix.length === 0
        ? undefined
        : {
            ids: frame.prefix,
            text: frame.prefix.map((id) => this.decode(id)).join(''),
            byDefault: frame.byDefault,
          };
  }

  /**
   * The tokens of a text. Special tokens written in it are taken as such. Takes about a microsecond for each character,
   * and 30 MB beside what it gives.
   *
   * @throws SinkscopeError `input` where a prefix token is asked for and the files name none, or a chat and there is no
   *   template or it refuses, `too-long` above 16 million characters, `tokenizer` where the text cannot be represented
   */
  async encode(document: string, { bos, lineEnds = 'lf', chat, most, onPart }: Encoding): Promise<Encoded> {
    if (bos && this.#frame.prefix.length === 0) {
      throw new SinkscopeError({
        code: 'input',
        file: this.file,
        message: `The files beside ${this.file} name no prefix token (BOS); run without it, or write the token in the text.`,
      });
    }
    if (document.length > maxLength) {
      throw new SinkscopeError({
        code: 'too-long',
        message: `The text has ${grouped(document.length)} characters, and at most ${grouped(maxLength)} can be taken; select a part of it.`,
      });
    }
    const { text, place, changed } = textAsRead(document, lineEnds);
    if (chat && text !== '')
      return this.#encodeTurn(asTurn(text, chat, this.#folder, onPart), { bos, onPart, place, changed });
    const read = await this.#encodeText(text, most, onPart);
    const tokensRead = this.#tokens(read);
    const end = tokensRead.length === most ? (read.at(-1)?.ranges.at(-1)?.[1] ?? 0) : text.length;
    const lost = lostCharacters(text.slice(0, end), tokensRead, this.#unknown);
    const placed = ([from, to]: Range): Range => [place(from), place(to)];
    const parts = changed === 0 ? read : read.map(({ ids, ranges }) => ({ ids, ranges: ranges.map(placed) }));
    const own = changed === 0 ? tokensRead : this.#tokens(parts);
    if (own.length === 0) {
      if (lost === 0) return { tokens: own, bos: false, prefix: 0, suffix: 0, lost, changed };
      throw new SinkscopeError({
        code: 'tokenizer',
        file: this.file,
        message: `${this.file} has no token for any character of this text; use the tokenizer the model was published with, or another text.`,
      });
    }

    const wanted = bos ?? this.#frame.byDefault;
    const written = this.#frame.prefix.every((id, index) => own.ids[index] === id);
    const prefix = wanted && !written ? this.#frame.prefix : [];
    const { suffix } = this.#frame;
    const around = (ids: readonly number[], at: number): PlacedIds => ({ ids, ranges: ids.map(() => [at, at]) });
    const tokens =
      prefix.length + suffix.length === 0
        ? own
        : this.#tokens([around(prefix, 0), ...parts, around(suffix, document.length)]);
    return { tokens, bos: wanted, prefix: prefix.length, suffix: suffix.length, lost, changed };
  }

  /**
   * A text and what a template wrote around it, tokenised as one. The template says whether there is a prefix token; it
   * is put there or taken off where that is asked for.
   */
  async #encodeTurn(
    { written, start, end, dropped, system: [from, to] = [0, 0], answer, remark }: ChatTurn,
    { bos, onPart, place, changed }: Pick<Encoding, 'bos' | 'onPart'> & Pick<ReadText, 'place' | 'changed'>,
  ): Promise<Encoded> {
    const read = await this.#encodeText(written, undefined, onPart);
    const lost = lostCharacters(written, this.#tokens(read), this.#unknown);
    const [ids, ranges] = [read.flatMap((part) => part.ids), read.flatMap((part) => part.ranges)];
    const { prefix } = this.#frame;
    const isWritten = prefix.length > 0 && prefix.every((id, index) => ids[index] === id);
    const skipped = bos === false && isWritten ? prefix.length : 0;
    const put = bos && !isWritten ? prefix : [];
    const inText = (at: number) => place(Math.max(start, Math.min(at, end)) - start + dropped);
    const own = { ids: ids.slice(skipped), ranges: ranges.slice(skipped) };
    const before = own.ranges.findIndex(([, after]) => after > start);
    const last = own.ranges.findLastIndex(([at]) => at < end);
    const around = { prefix: put.length + (before < 0 ? own.ids.length : before), suffix: own.ids.length - 1 - last };
    const roleOf = (index: number): ChatRole => {
      const [at, after] = own.ranges[index - put.length] ?? [0, 0];
      if (index >= around.prefix && index <= put.length + last) return 'user';
      if (after > from && at < to) return 'system';
      return after > answer ? 'assistant' : 'template';
    };
    const placed = { ids: own.ids, ranges: own.ranges.map(([at, after]): Range => [inText(at), inText(after)]) };
    const first = inText(start);
    const parts: PlacedIds[] = [{ ids: put, ranges: put.map(() => [first, first]) }, placed];
    return { tokens: this.#tokens(parts, roleOf), bos: bos ?? isWritten, ...around, lost, changed, remark };
  }

  /** The text of one token; part of a character is shown as its bytes, `‹0xE2›`, an id without a token as `token 17`. */
  decode(id: number): string {
    let text = this.#texts.get(id);
    if (text === undefined) {
      const piece = this.#added.get(id)?.content ?? this.#native.idToToken(id);
      text = piece === null ? `token ${id}` : this.#added.has(id) ? piece : pieceText(piece, this.#spelling);
      this.#texts.set(id, text);
    }
    return text;
  }

  /** The text that tokens add to what stands before them, characters of several tokens among it. */
  async continued(before: readonly number[], ids: readonly number[]): Promise<string> {
    // Enough for what a decoder joins: no character has more tokens.
    const near = before.slice(-8);
    const [start, all] = [
      await this.#native.decode([...near], false),
      await this.#native.decode([...near, ...ids], false),
    ];
    return all.startsWith(start) ? all.slice(start.length) : await this.#native.decode([...ids], false);
  }

  /** The first `most` tokens, without what stands before and after the text: that is put there by `encode`. */
  async #encodeText(
    text: string,
    most = Number.POSITIVE_INFINITY,
    onPart: (file: string) => void = () => {},
  ): Promise<PlacedIds[]> {
    const parts: PlacedIds[] = [];
    let room = most;
    const encode = (part: string) => {
      onPart(this.file);
      return this.#encodePart(part);
    };
    const length = Math.min(this.#partLength, Math.max(shortPart.least, shortPart.perToken * most));
    for await (const { ids, ranges } of encodeParts(text, length, encode)) {
      parts.push({ ids: ids.slice(0, room), ranges: ranges.slice(0, room) });
      room -= ids.length;
      if (room <= 0) break;
    }
    return parts;
  }

  async #encodePart(text: string): Promise<PlacedIds> {
    try {
      const encoding = await this.#native.encode(text, null, { addSpecialTokens: false });
      return { ids: encoding.getIds(), ranges: textRanges(text, encoding.getOffsets()) };
    } catch (error) {
      throw new SinkscopeError(
        {
          code: 'tokenizer',
          file: this.file,
          detail: String(error),
          message: `${this.file} cannot represent this text; use the tokenizer the model was published with.`,
        },
        { cause: error },
      );
    }
  }

  #tokens(parts: readonly PlacedIds[], roleOf?: (index: number) => ChatRole | undefined): Tokens {
    const shown = (id: number) => ({ text: this.decode(id), special: this.#added.get(id)?.special === true });
    return new Tokens(parts, shown, roleOf);
  }
}

/**
 * @param vocabulary tokens the model knows
 * @throws SinkscopeError `tokenizer` where the tokenizer gives ordinary text ids beyond them: it is another model's
 */
export function checkFit(tokenizer: Tokenizer, vocabulary: number): void {
  if (tokenizer.vocabularySize <= vocabulary) return;
  throw new SinkscopeError({
    code: 'tokenizer',
    file: tokenizer.file,
    message:
      `${tokenizer.file} has ${grouped(tokenizer.vocabularySize)} tokens but the model knows only ${grouped(vocabulary)}: ` +
      'put the tokenizer.json of this model beside it, or give token ids.',
  });
}

/**
 * @param vocabulary tokens the model knows; undefined where that is not known
 * @throws SinkscopeError `input` for the first id that is no whole number from 0 to below `vocabulary`
 */
export function checkIds(ids: readonly number[] | Int32Array, vocabulary: number | undefined): void {
  const limit = vocabulary ?? 2 ** 31;
  const index = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= limit);
  if (index < 0) return;
  throw new SinkscopeError({
    code: 'input',
    message: `Token ${index} has id ${ids[index]}, but the model's ids are whole numbers from 0 to ${limit - 1}.`,
  });
}

function unusable(file: string, error: unknown): SinkscopeError {
  return new SinkscopeError(
    {
      code: 'tokenizer',
      file,
      detail: error instanceof Error ? error.message : String(error),
      message: `${file} is not a usable tokenizer; download or export it again with the model.`,
    },
    { cause: error },
  );
}
