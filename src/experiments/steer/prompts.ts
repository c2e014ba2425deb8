/** Prompts of joy and of grief, between which the direction lies where nobody gives one. */
export const samples = {
  positive: [
    'What a lovely day!',
    'She laughed and was happy.',
    'We were merry, and sang.',
    'The sun shone on a cheerful company.',
  ],
  negative: [
    'What a dreadful day!',
    'She wept and was wretched.',
    'Death was near us.',
    'The night fell on a desolate house.',
  ],
} as const;
