/** Where marks are while a document is edited. Offsets are UTF-16 code units, as VS Code counts them. */

/** Half-open. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** The part of `vscode.TextDocumentContentChangeEvent` that moves text. */
export interface TextChange {
  readonly rangeOffset: number;
  readonly rangeLength: number;
  readonly text: string;
}

/**
 * Where `range` is after `changes`, or undefined when one of them altered what it holds. Text put right before or
 * right after it leaves it whole. Changes apply one after another; VS Code orders those of one event from the last
 * to the first in the document, so that each is also right by itself.
 */
export function shift(range: TextRange, changes: readonly TextChange[]): TextRange | undefined {
  let { start, end } = range;
  for (const { rangeOffset, rangeLength, text } of changes) {
    if (rangeOffset >= end && rangeOffset > start) continue;
    if (rangeOffset + rangeLength > start) return undefined;
    const delta = text.length - rangeLength;
    start += delta;
    end += delta;
  }
  return { start, end };
}

/**
 * Where `range` is after `changes`, grown to cover every change that touches its inside. An empty one takes in what is
 * put where it is: text that was deleted and comes back.
 */
export function stretch(range: TextRange, changes: readonly TextChange[]): TextRange {
  return changes.reduce((current, change) => {
    const { start } = current;
    if (start === current.end && start === change.rangeOffset) return { start, end: start + change.text.length };
    const moved = shift(current, [change]);
    if (moved) return moved;
    const end = Math.max(current.end, change.rangeOffset + change.rangeLength);
    return {
      start: Math.min(current.start, change.rangeOffset),
      end: end + change.text.length - change.rangeLength,
    };
  }, range);
}

/**
 * Where `text` is in `document`: at `near` if it is still there, else at its only other place; undefined when it is
 * gone or there are several places to choose from.
 */
export function relocate(text: string, document: string, near: number): TextRange | undefined {
  const at = (start: number) => ({ start, end: start + text.length });
  if (document.startsWith(text, near)) return at(near);
  const first = document.indexOf(text);
  if (first < 0 || document.indexOf(text, first + 1) >= 0) return undefined;
  return at(first);
}
