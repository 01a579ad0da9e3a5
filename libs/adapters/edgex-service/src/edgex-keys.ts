import { describeError } from '@antirio/kernel';
import { keysOfPlaces, type Keys, type TextOf } from './places.ts';
import { sectionsOf, settingsOf, type OwnSettings } from './settings.ts';
import { isTree, leavesOf, merged, treeWith, valueAt, type Tree } from './tree.ts';

export function keysOfTree(tree: Tree): Keys {
  const leaves = leavesOf(tree).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(leaves.map(([path, value]) => [path.join('/'), String(value)]));
}

/** What is followed while the service runs is not read at its start. */
const isWritable = (key: string): boolean => key.startsWith('Writable/');

/** Options that EdgeX's keys stand for, but for the Writable section and where others are; what is wrong is told of and left out. An empty text is none. */
export function optionsOfKeys(keys: Keys, own: OwnSettings, complain: (why: string) => void): Tree {
  const textOf: TextOf = (key) => (keys[key] === '' ? undefined : keys[key]);
  const unlessWrong = (read: () => Tree): Tree => {
    try {
      return read();
    } catch (error) {
      complain(describeError(error));
      return {};
    }
  };
  let options: Tree = {};
  for (const [key, { option, read }] of Object.entries(settingsOf(own))) {
    const text = isWritable(key) ? undefined : textOf(key);
    if (text === undefined) continue;
    options = merged(
      options,
      unlessWrong(() => treeWith(option.split('.'), read(text, key))),
    );
  }
  for (const [section, option] of Object.entries(sectionsOf(own)))
    for (const [key, text] of Object.entries(keys))
      if (!isWritable(key) && key.startsWith(`${section}/`))
        options = merged(
          options,
          treeWith([...option.split('.'), ...key.slice(section.length + 1).split('/')], text),
        );
  return options;
}

/** EdgeX's keys for options; secrets stay where they are. */
export function keysOfOptions(options: Tree, own: OwnSettings): Keys {
  const keys: Record<string, string> = {};
  for (const [key, { option, write = String }] of Object.entries(settingsOf(own))) {
    const value = valueAt(options, option.split('.'));
    if (value !== undefined) keys[key] = write(value);
  }
  for (const [section, option] of Object.entries(sectionsOf(own))) {
    const tree = valueAt(options, option.split('.'));
    if (!isTree(tree) || section === 'Writable/InsecureSecrets') continue;
    for (const [key, text] of Object.entries(keysOfTree(tree))) keys[`${section}/${key}`] = text;
  }
  return { ...keys, ...keysOfPlaces(options) };
}
