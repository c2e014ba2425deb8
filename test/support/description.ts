/** Examples of what is told of a file and of its weights. */
const describedAs = {
  file: '/m',
  producer: 'pytorch',
  irVersion: 8,
  opsets: [['', 17]],
  operators: [['com.microsoft.Attention', 2]],
  inputs: [{ name: 'ids', type: 'int64', shape: [1, 'T', null] }],
  outputs: [{ name: 'l', type: 'float', shape: [1, 'T', 3] }],
  files: [{ file: '/m', bytes: 5e9 }],
  bytes: 5e9,
  weights: [{ name: 'w', type: 'float', bits: 4, shape: [2, 3], bytes: 24, block: 1, part: 'mlp_out' }],
  left: { count: 1, bytes: 4 },
  parameters: 6,
  tokenizer: '/tokenizer.json',
  anatomy: { found: false, problem: { code: 'not-a-transformer', message: 'It has no residual stream.' } },
} as const;

const ofWeight = {
  count: 6,
  nonFinite: 1,
  zeros: 1,
  min: -1,
  max: Number.NaN,
  mean: 0.5,
  deviation: 0.25,
  kurtosis: 3,
  top: [{ value: -1, index: [0, 2] }],
  octaves: { from: -3, counts: [1, 0, 2] },
};

export const descriptionExamples = { describe: describedAs, weight: ofWeight };
