/** Whether a text is a turn of a chat, as people say it. */
import type { RunRequest } from '../../engine/contract/events.js';
import { SinkscopeError } from '../../errors.js';

/** @throws SinkscopeError `input` for a system's text without a chat */
export function chatFrom(chat: string, system: string | undefined): RunRequest['chat'] {
  if (chat === 'on') return system === undefined ? {} : { system };
  if (system === undefined) return undefined;
  throw new SinkscopeError({
    code: 'input',
    message: "The system's text is part of a chat: give --chat on as well, or leave it out.",
  });
}
