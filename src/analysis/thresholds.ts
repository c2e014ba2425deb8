/** What counts as massive and as a sink. All of it is shown with every result and can be set by the user. */
export interface Thresholds {
  /** Massive: |h| above this … (arXiv:2402.17762) */
  readonly absolute: number;
  /** … and at least this many times the layer's median |h|. */
  readonly ratio: number;
  /** The softer mark ("large"): at least this many times the median. */
  readonly soft: number;
  /** A head is drawn to a token when alpha exceeds this (arXiv:2410.10781). */
  readonly epsilon: number;
  /** A token is marked as a sink only when at least this many queries see it … */
  readonly minQueries: number;
  /** … and at least this share of all heads is drawn to it. */
  readonly minShare: number;
}

export const defaultThresholds: Thresholds = {
  absolute: 100,
  ratio: 1000,
  soft: 100,
  epsilon: 0.3,
  minQueries: 8,
  minShare: 0.1,
};
