/** What a test looks at is there, or the test fails where it looks: nothing passes because a list was empty. */

type List = ArrayLike<unknown>;

/** The first element of which `is` holds. */
export function found<T, Kind extends T>(list: readonly T[] | undefined, is: (element: T) => element is Kind): Kind;
export function found<T>(list: readonly T[] | undefined, is: (element: T) => boolean): T;
export function found<T>(list: readonly T[] | undefined, is: (element: T) => boolean): T {
  if (!list) throw new Error('There is no list to look in.');
  const index = list.findIndex(is);
  if (index < 0) throw new Error(`None of the ${list.length} is it: ${is}`);
  return list[index] as T;
}

/** The element at an index, counted from the end where it is negative; of the list that it is, at a second one. */
export function at<L extends List>(list: L | undefined, index: number): Exclude<L[number], undefined>;
export function at<L extends ArrayLike<List>>(list: L | undefined, index: number, inner: number): L[number][number];
export function at(list: List | undefined, index: number, inner?: number): unknown {
  const element = list?.[index < 0 ? index + list.length : index];
  if (element === undefined) throw new Error(`There is no element ${index} among ${list?.length ?? 'nothing'}.`);
  return inner === undefined ? element : at(element as List, inner);
}

/** Two lists of one length that is not 0, element by element. */
export function pairs<A extends List, B extends List>(
  one: A | undefined,
  other: B | undefined,
): [A[number], B[number]][] {
  if (!one?.length || one.length !== other?.length)
    throw new Error(`${one?.length ?? 'no'} and ${other?.length ?? 'no'} elements do not make pairs.`);
  return Array.from(one, (element, i) => [element, other[i]]);
}
