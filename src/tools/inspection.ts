/** What a model file is, as a presentation. Pure. */
import type { Part, Presentation } from '../analysis/presentation.js';
import type { InspectedBlock, Inspection } from '../engine/contract/inspection.js';

export function presentInspection({ model, streams, anatomy, producer, opsets, nodes }: Inspection): Presentation {
  const known = (value: number | undefined) => (value === undefined ? 'unknown' : `${value}`);
  const { layers, hidden, heads, kvHeads, headDim, mlpHidden, vocabulary, parallelBlock, blocks } = anatomy;
  const facts: [string, string][] = [
    ['producer', producer],
    ['opsets', opsets.map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`).join(', ')],
    ['nodes', `${nodes}`],
    ['weights', `${(model.bytes / 1e6).toFixed(1)} MB`],
    ['layers', `${layers}`],
    ['hidden size', known(hidden)],
    ['heads', `${known(heads)} (${known(kvHeads)} for keys and values) of ${known(headDim)}`],
    ['MLP width', known(mlpHidden)],
    ['vocabulary', known(vocabulary)],
    ['context', known(model.context)],
    ['blocks', parallelBlock ? 'attention and MLP in parallel' : 'attention, then MLP'],
    ['final norm', anatomy.finalNorm?.output ?? 'not found'],
    ['unembedding', anatomy.unembedding?.logits ?? 'not found'],
  ];
  const parts: Part[] = [
    table('Facts', ['what', 'value'], facts),
    table(
      'Inputs',
      ['name', 'role', 'what it is fed'],
      anatomy.inputs.map(({ name, role, how, guessed }) => [name, role, guessed ? `${how} (guessed)` : how]),
    ),
    ...(streams.length > 1
      ? [
          table(
            'Streams',
            ['name', 'layers', 'computed from'],
            streams.map(({ name, layers, inputs }) => [name, `${layers}`, inputs.join(', ')]),
          ),
        ]
      : []),
    table(
      'Residual stream',
      ['layer', 'tensor', 'attention pattern', 'MLP intermediate'],
      [
        ['0', anatomy.embedding, '', ''],
        ...blocks.map(({ residPost, attention, mlpIntermediate }, i) => {
          return [`${i + 1}`, residPost, patternOf(attention), mlpIntermediate ?? ''];
        }),
      ],
    ),
  ];
  return {
    title: `Inspection of ${model.name}`,
    sentence: `${model.name} has ${layers} blocks${hidden === undefined ? '' : ` of width ${hidden}`}${
      anatomy.missing.length === 0 ? '; every part was found' : ''
    }.`,
    settings: [
      { name: 'file', value: model.file },
      ...(streams.length > 1 ? [{ name: 'stream', value: model.stream }] : []),
    ],
    warnings: [...anatomy.missing.map(({ part, why }) => `Not found: ${part}: ${why}`), ...model.remarks],
    parts,
  };
}

function table(heading: string, columns: readonly string[], rows: readonly (readonly string[])[]): Part {
  return { kind: 'table', heading, columns: columns.map((name) => ({ name })), rows: rows.map((row) => [...row]) };
}

function patternOf(attention: InspectedBlock['attention']): string {
  if (!attention) return 'none';
  const { pattern } = attention;
  return pattern.from === 'graph'
    ? pattern.tensor
    : pattern.from === 'rebuilt'
      ? `rebuilt from ${pattern.operator}`
      : '';
}
