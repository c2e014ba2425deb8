/** What would come after a token. */
import * as v from 'valibot';
import { whole } from '../../../schemas.js';
import { predictionsEvent } from '../../contract/events.js';

export const predictionsQuestion = {
  schema: v.strictObject({ type: v.literal('predictions'), token: whole }),
  answer: predictionsEvent,
  fromWebview: true,
} as const;
