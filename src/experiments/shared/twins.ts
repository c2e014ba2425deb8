/** A model and a file that is said to be made from it. */
import type { Engine } from '../../engine/host/engine.js';
import { SinkscopeError } from '../../errors.js';

export interface Twins {
  readonly reference: string;
  readonly model: string;
  readonly text: string;
  readonly bos?: boolean;
}

/**
 * That a file can have been made from a model, as far as can be told without a run.
 *
 * @throws SinkscopeError `input` where blocks, width, prefix token or the text's tokens differ
 */
export async function checkTwins(engine: Engine, request: Twins, signal: AbortSignal | undefined): Promise<void> {
  const { reference, model, text, bos } = request;
  const [before, after] = [
    await engine.inspect(reference, signal, { takes: 'text' }),
    await engine.inspect(model, signal, { takes: 'text' }),
  ];
  const refused = (difference: string) =>
    new SinkscopeError({
      code: 'input',
      file: model,
      message: `${model} cannot be compared with ${reference}: ${difference}; compare a model with its own quantised file, which has the same tokenizer files.`,
    });
  const { layers, hidden } = before.model;
  const other = after.model;
  if (other.layers !== layers) throw refused(`it has ${other.layers} blocks, and the model ${layers}`);
  // 0: not found, which is no difference.
  if (other.hidden !== hidden && other.hidden * hidden > 0)
    throw refused(`its hidden states have ${other.hidden} dims, and the model’s ${hidden}`);
  const [wide, otherWide] = [before.anatomy.mlpHidden, after.anatomy.mlpHidden];
  if (wide !== undefined && otherWide !== undefined && otherWide !== wide)
    throw refused(`its MLPs are ${otherWide} wide, and the model’s ${wide}`);
  const encoded = await engine.encode(reference, text, { signal });
  // A quantised file may lie in a folder of its own, without the tokenizer that it shares with the model.
  const own = await engine.encode(model, text, { signal }).catch((error) => {
    if (SinkscopeError.is(error, 'tokenizer')) return undefined;
    throw error;
  });
  if (own === undefined) return;
  const named = (prefix: number | undefined) => (prefix === undefined ? 'no prefix token' : `prefix token ${prefix}`);
  if (bos !== false && own.prefix !== encoded.prefix)
    throw refused(`its folder names ${named(own.prefix)}, and the model’s ${named(encoded.prefix)}`);
  if (own.ids.length !== encoded.ids.length || own.ids.some((id, i) => id !== encoded.ids[i]))
    throw refused('its tokenizer makes other tokens of this text');
}
