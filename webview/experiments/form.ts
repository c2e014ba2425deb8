/** What to run: an experiment, and a field for each of its inputs. Empty fields are left to the defaults. */
import { LitElement, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Selection } from '../../src/analysis/selection.js';
import { type ExperimentFacts, type ExperimentInput, type ModelsInput, subjects } from '../../src/experiments/facts.js';
import { defaultOf, isNeeded, isOfUse, valueIn, wantedOf, withinContext } from '../../src/experiments/values.js';
import type { ExperimentAction, ModelChoice, TextNames } from '../../src/protocol.js';
import '../controls.js';
import { Exact, html } from '../html.js';
import { quietButtonStyles } from '../styles.js';
import { formStyles } from './form-styles.js';
import type { Choices } from './state.js';

type Value = Extract<ExperimentAction, { do: 'run' }>['values'][string];

export type ActionEvent = CustomEvent<ExperimentAction>;

@customElement('sinkscope-experiment-form')
export class ExperimentForm extends LitElement {
  static override styles = [quietButtonStyles, formStyles];

  @property({ attribute: false }) choices!: Pick<Choices, 'experiments' | 'texts'>;
  @property({ attribute: false }) models: readonly ModelChoice[] = [];
  /** Tokens that the chosen model takes at once, where that is known. */
  @property({ attribute: false }) context: number | undefined;
  @property({ type: Boolean }) running = false;
  /** What is selected in the run that the other page shows. */
  @property({ attribute: false }) selection: Selection = {};

  /** The experiment that was run last, shown until another one is chosen. */
  @property() latest: string | undefined;

  @state() private chosen: string | undefined;
  /** What was typed, by experiment and input. */
  @state() private typed: Readonly<Record<string, Value>> = {};
  /** Whether it was to be run while something was missing or wrong: only then fields say so. */
  @state() private tried = false;

  override render() {
    const { experiments } = this.choices;
    const found = experiments.find(({ id }) => id === (this.chosen ?? this.latest)) ?? experiments[0];
    if (found === undefined) return nothing;
    const facts = { ...found, inputs: withinContext(found.inputs, this.context) };
    const values = this.#values(facts);
    return html`
      <form
        novalidate
        @submit=${(event: Event) => {
          event.preventDefault();
          void this.#run(facts);
        }}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === 'Enter' && event.target instanceof HTMLInputElement) this.#submit();
        }}
      >
        <div class="row">
          <label
            >Experiment
            <select
              data-testid="experiment"
              @change=${(event: Event) => {
                this.chosen = entered(event);
                this.tried = false;
              }}
            >
              ${Object.entries(subjects).map(
                ([about, question]) =>
                  html`<optgroup label=${question}>
                    ${experiments
                      .filter((one) => one.about === about)
                      .map(({ id, title }) => html`<option value=${id} ?selected=${id === facts.id}>${title}</option>`)}
                  </optgroup>`,
              )}
            </select></label
          >
          ${this.#takeSelected(facts)}
          <vscode-button data-testid="run-experiment" @click=${this.#submit}>Run</vscode-button>
          ${
            this.running
              ? html`<vscode-button
                  appearance="secondary"
                  data-testid="stop-experiment"
                  @click=${() => this.#act({ do: 'stop' })}
                >Stop</vscode-button>`
              : nothing
          }
        </div>
        <p>
          ${facts.description}
          <button
            type="button"
            class="quiet"
            aria-label="More about ${facts.title}"
            @click=${() => this.#act({ do: 'read', experiment: facts.id })}
          >more</button>
        </p>
        <div class="fields">
          ${Object.entries(facts.inputs).map(([name, input]) => this.#field(facts, name, input, values))}
        </div>
      </form>
    `;
  }

  /** As a person does it: fields are checked first. */
  #submit(): void {
    this.renderRoot.querySelector('form')?.requestSubmit();
  }

  /** Where something is missing or wrong its field says so and is gone to; nothing is run. */
  async #run(facts: ExperimentFacts): Promise<void> {
    const values = this.#values(facts);
    this.tried = Object.keys(facts.inputs).some((name) => this.#isWrong(facts, name, values));
    if (!this.tried) return this.#act({ do: 'run', experiment: facts.id, values });
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }

  #isWrong({ inputs }: ExperimentFacts, name: string, values: Record<string, Value>): boolean {
    const input = inputs[name];
    const value = values[name];
    if (input === undefined) return false;
    if (typeof value === 'string' || typeof value === 'number') return valueIn(input, `${value}`) === undefined;
    if (value !== undefined) return false;
    if (!isNeeded(inputs, name, values)) return false;
    if (input.kind === 'model' && input.chosen) return false;
    return calledIn(this.choices.texts, name, input) === undefined;
  }

  /** What is under a field: what is meant without it, that it is not needed, or what it has to be. */
  #note(
    name: string,
    input: ExperimentInput,
    { wrong, ofUse, missing }: { wrong: boolean; ofUse: boolean; missing: boolean },
  ) {
    if (wrong) return html`<span class="wrong" id="note-${name}">${wantedOf(input)}</span>`;
    // What nothing can stand in for is told before it is missed.
    if (missing) return html`<span id="note-${name}">to be given: ${input.help}</span>`;
    const meant = 'open' in input ? (defaultOf(input) ?? input.open) : defaultOf(input);
    // The button says itself which book is meant.
    const isBook = 'document' in input && input.document === 'bundled';
    const isShown = !isBook && input.kind !== 'choice' && input.kind !== 'switch' && input.kind !== 'model';
    // The blanks of tokens count, and are seen nowhere else.
    const said = input.kind === 'pair' ? `${meant}`.replaceAll(' ', '·') : meant;
    const words = ofUse ? isShown && meant !== undefined && `unless given: ${said}` : 'not needed with what is chosen';
    return words ? html`<span id="note-${name}">${words}</span>` : nothing;
  }

  #field(facts: ExperimentFacts, name: string, input: ExperimentInput, values: Record<string, Value>) {
    const key = `${facts.id} ${name}`;
    const isWrong = this.#isWrong(facts, name, values);
    const wrong = this.tried && isWrong;
    const ofUse = isOfUse(facts.inputs, name, values);
    const note = this.#note(name, input, { wrong, ofUse, missing: isWrong && values[name] === undefined });
    const invalid = wrong || nothing;
    const described = note === nothing ? nothing : `note-${name}`;
    const typed = this.typed[key];
    const put = (value: Value) => {
      this.typed = { ...this.typed, [key]: value };
    };
    switch (input.kind) {
      case 'text':
      case 'texts':
      case 'files': {
        const called = calledIn(this.choices.texts, name, input);
        const choose = input.kind === 'text' ? 'Choose a file …' : 'Choose files …';
        return html`<span class="field"
          >${input.label}
          <vscode-button
            appearance="secondary"
            aria-label="${input.label}: ${called ?? 'choose a file'}"
            aria-invalid=${invalid}
            data-testid="text-${name}"
            @click=${() => this.#act({ do: 'choose-text', experiment: facts.id, input: name })}
            >${called ?? (ofUse ? choose : `None: ${choose.toLowerCase()}`)}</vscode-button
          >${note}</span
        >`;
      }
      case 'choice':
        return html`<label
          >${input.label}
          <select name=${name} @change=${(event: Event) => put(entered(event))}>
            ${input.choices.map((choice) => html`<option ?selected=${choice === typed}>${choice}</option>`)}
          </select></label
        >`;
      case 'switch':
        return html`<label class="switch"
          ><input
            name=${name}
            type="checkbox"
            .checked=${typed === true}
            @change=${(event: Event) => put(isChecked(event))}
          />${input.label}</label
        >`;
      case 'model':
        // The one that is chosen for all is chosen in the toolbar.
        return input.chosen
          ? nothing
          : html`<div class="field"><label
              >${input.label}
              <select
                name=${name}
                aria-invalid=${invalid}
                aria-describedby=${described}
                @change=${(event: Event) => put(entered(event))}
              >
                <option value="">${input.open ?? 'Choose …'}</option>
                ${this.models.map(({ file, name }) => html`<option value=${new Exact(file)} ?selected=${file === typed}>${name}</option>`)}
              </select></label
            >${note}</div>`;
      case 'models':
        return this.#models(input, typed, put);
      default:
        return html`<div class="field"><label
          >${input.label}
          <input
            name=${name}
            type=${input.kind === 'whole' || input.kind === 'number' ? 'number' : 'text'}
            min=${('least' in input ? input.least : undefined) ?? nothing}
            max=${(input.kind === 'whole' || input.kind === 'number' ? input.most : undefined) ?? nothing}
            step=${input.kind === 'number' ? 'any' : nothing}
            aria-invalid=${invalid}
            aria-describedby=${described}
            autocomplete="off"
            .value=${new Exact(typed === undefined ? '' : `${typed}`)}
            @change=${(event: Event) => put(entered(event))}
          /></label
        >${note}</div>`;
    }
  }

  /** A button that fills in what is selected, where the experiment takes some of it. */
  #takeSelected({ id, inputs }: ExperimentFacts) {
    const taken = Object.entries(inputs).flatMap(([name, input]) => {
      const what = 'takes' in input ? input.takes : undefined;
      const index = what && this.selection[what];
      return index === undefined ? [] : [{ name, what, index }];
    });
    if (taken.length === 0) return nothing;
    const fill = () => {
      this.typed = {
        ...this.typed,
        ...Object.fromEntries(taken.map(({ name, index }) => [`${id} ${name}`, `${index}`])),
      };
    };
    const parts = taken.map(({ what, index }) => `${what} ${index}`);
    return html`<vscode-button appearance="secondary" @click=${fill}>Take ${parts.join(', ')}</vscode-button>`;
  }

  #models(input: ModelsInput, typed: Value | undefined, put: (value: Value) => void) {
    const picked = Array.isArray(typed) ? typed : this.#pickedAtFirst(input);
    const toggle = (file: string, on: boolean) => put(on ? [...picked, file] : picked.filter((one) => one !== file));
    return html`<fieldset>
      <legend>${input.label}</legend>
      <div>
        ${this.models.map(
          ({ file, name }) => html`<label
            ><input
              type="checkbox"
              .checked=${picked.includes(file)}
              @change=${(event: Event) => toggle(file, isChecked(event))}
            />${name}</label
          >`,
        )}
      </div>
    </fieldset>`;
  }

  #pickedAtFirst(input: ModelsInput): readonly string[] {
    // The form with a cache is the same model.
    const isMain = (file: string) => /(^|[/\\])model\.onnx$/.test(file);
    return this.models.filter(({ origin, file }) => origin === input.default && isMain(file)).map(({ file }) => file);
  }

  /** What is given by now; fields that are empty are left to the defaults. */
  #values({ id, inputs }: ExperimentFacts): Record<string, Value> {
    const values: Record<string, Value> = {};
    for (const [name, input] of Object.entries(inputs)) {
      const typed = this.typed[`${id} ${name}`];
      if (input.kind === 'models') values[name] = Array.isArray(typed) ? typed : this.#pickedAtFirst(input);
      else if (typed !== undefined && typed !== '')
        values[name] = input.kind === 'whole' || input.kind === 'number' ? Number(typed) : typed;
      // The model's context may have made it less than what is meant elsewhere.
      else if (input.kind === 'whole' && input.within && input.most !== undefined && input.default !== undefined)
        values[name] = input.default;
    }
    return values;
  }

  #act(action: ExperimentAction): void {
    this.dispatchEvent(new CustomEvent('experiment-action', { detail: action, bubbles: true, composed: true }));
  }
}

function entered({ target }: Event): string {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement ? target.value : '';
}

function isChecked({ target }: Event): boolean {
  return target instanceof HTMLInputElement && target.checked;
}

/** What was chosen for an input is called, or else the document that it takes. */
function calledIn({ documents, chosen }: TextNames, name: string, input: ExperimentInput): string | undefined {
  return chosen[name] ?? ('document' in input && input.document ? documents[input.document] : undefined);
}
