/** What the inputs of a graph are, and how a run fed them. */
import * as v from 'valibot';
import type { InputRole } from '../../anatomy/anatomy.js';
import { flag, type Sent, text } from '../../schemas.js';

const roles = [
  'token-ids',
  'codes',
  'position-ids',
  'attention-mask',
  'pair-mask',
  'token-type-ids',
  'coordinates',
  'lengths',
  'choice',
  'cache-position',
  'past',
  'state',
  'past-length',
  'last-key-index',
  'total-length',
  'kept-rows',
  'flag',
  'features',
  'order',
  'unused',
  'unknown',
] as const satisfies readonly InputRole[];

export const inputRole = v.picklist(roles);

export const fedInput = v.object({
  name: text,
  role: inputRole,
  /** In words. */
  how: text,
  /** Whether that was a choice that nobody made: the graph allows another reading, or several fit it. */
  guessed: flag,
});
export type FedInput = Sent<typeof fedInput>;
