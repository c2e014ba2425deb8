/** What people are told of an experiment and asked for, as plain data that the panel can be sent. */

export interface ExperimentFacts {
  /** As the CLI's subcommand. */
  readonly id: string;
  readonly title: string;
  /** What it answers, in a sentence. */
  readonly description: string;
  readonly inputs: Inputs;
  /** False: it runs models of its own, or none, rather than the chosen one. */
  readonly onChosen?: false;
}

/** What is asked for. Plain data: the panel makes fields of it, and commands ask for what has no default. */
export type Input =
  /** `text` is the document by default; any other is a file to be chosen. */
  | { readonly kind: 'text'; readonly label: string; readonly optional?: true }
  /** The document by default, or text files, or those of a folder. */
  | { readonly kind: 'texts'; readonly label: string }
  /** Files with one of these extensions. */
  | { readonly kind: 'files'; readonly label: string; readonly extensions: readonly string[] }
  /** A whole number from `least` on; without a default it may stay open, which then means `open`. */
  | {
      readonly kind: 'whole';
      readonly label: string;
      readonly least: number;
      readonly default?: number;
      readonly open?: string;
    }
  /** Any number; without a default it may stay open. */
  | { readonly kind: 'number'; readonly label: string; readonly default?: number; readonly open?: string }
  | { readonly kind: 'choice'; readonly label: string; readonly choices: readonly string[] }
  | { readonly kind: 'words'; readonly label: string; readonly default?: string; readonly open?: string }
  /** A model beside the chosen one; several models. */
  | { readonly kind: 'model'; readonly label: string }
  | { readonly kind: 'models'; readonly label: string };

export type Inputs = Readonly<Record<string, Input>>;
