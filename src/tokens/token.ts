/** One token of a run: what the model is fed, and where it stands in the text. */
export interface Token {
  readonly id: number;
  /** As the tokenizer shows it, decoded; `token 17` where there is no tokenizer. */
  readonly text: string;
  /** UTF-16 code units into the given text; start === end for tokens that stand for no text (BOS). */
  readonly start: number;
  readonly end: number;
  readonly special: boolean;
  /** Whose words it is part of, in a text that is a turn of a chat; `template`: nobody's, the template wrote it. */
  readonly role?: ChatRole;
  /** The part of the picture it stands for, in the picture's pixels; only of patches. */
  readonly region?: Rectangle;
}

/** `assistant`: the beginning of the answer, which the template writes. */
export const roles = ['template', 'system', 'user', 'assistant'] as const;
export type ChatRole = (typeof roles)[number];

/** In pixels of the picture, upright; may reach beyond its edges where a crop is larger than what it cuts from. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
