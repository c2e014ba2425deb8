/** |h| from which on an entry counts towards an outlier feature (LLM.int8(), arXiv:2208.07339). */
export const outlierMagnitude = 6;
