/** The colours that VS Code's own themes give, for the panel where there is no VS Code. */
import { readTheme, type Theme } from './theme.js';
import themes from './themes.json';

export type ThemeName = keyof typeof themes;

const classes: Readonly<Record<ThemeName, string>> = {
  dark: 'vscode-dark',
  light: 'vscode-light',
  'hc-dark': 'vscode-high-contrast',
  'hc-light': 'vscode-high-contrast vscode-high-contrast-light',
};

/** The theme as VS Code gives it: variables on the root element, classes on the body. */
export function applyTheme(name: ThemeName): void {
  const root = document.documentElement;
  root.removeAttribute('style');
  for (const [variable, value] of Object.entries(themes[name])) root.style.setProperty(`--vscode-${variable}`, value);
  document.body.className = classes[name];
}

export function isThemeName(name: string): name is ThemeName {
  return Object.hasOwn(themes, name);
}

/** What pictures are drawn in that are to be read on paper: the light one, whatever the page has. */
export function printTheme(): Theme {
  const place = document.createElement('div');
  for (const [variable, value] of Object.entries(themes.light)) place.style.setProperty(`--vscode-${variable}`, value);
  place.style.backgroundColor = '#ffffff';
  place.hidden = true;
  document.body.append(place);
  const theme = readTheme(place);
  place.remove();
  return { ...theme, font: 'Helvetica, Arial, sans-serif' };
}
