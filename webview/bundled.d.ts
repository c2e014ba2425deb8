/** esbuild writes imported style sheets beside the bundle. */
declare module '*.css';

/** And puts imported pictures into it, as text. */
declare module '*.svg' {
  const text: string;
  export default text;
}
