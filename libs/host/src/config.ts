import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { AntirioError } from '@antirio/kernel';

/** Values by dotted path, as given by a file, the environment or flags; later sources win. */
export interface ConfigSources {
  /** A JSON file with `//` comments. */
  readonly file?: string | undefined;
  /** `PREFIX_SECTION__KEY_NAME=value` sets `section.keyName`. */
  readonly env?: { readonly prefix: string; readonly values: Readonly<Record<string, string | undefined>> };
  readonly flags?: Readonly<Record<string, unknown>>;
}

type Tree = Record<string, unknown>;

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function merge(base: Tree, over: Tree): Tree {
  const out: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const known = out[key];
    if (value !== undefined) out[key] = isTree(known) && isTree(value) ? merge(known, value) : value;
  }
  return out;
}

function place(tree: Tree, path: readonly string[], value: unknown): Tree {
  const [head, ...rest] = path;
  if (head === undefined) return tree;
  const below = tree[head];
  return { ...tree, [head]: rest.length === 0 ? value : place(isTree(below) ? below : {}, rest, value) };
}

const camel = (text: string): string =>
  text.toLowerCase().replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());

function scalar(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function fromEnvironment(prefix: string, values: Readonly<Record<string, string | undefined>>): Tree {
  let tree: Tree = {};
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || !name.startsWith(`${prefix}_`)) continue;
    tree = place(
      tree,
      name
        .slice(prefix.length + 1)
        .split('__')
        .map(camel),
      scalar(value),
    );
  }
  return tree;
}

const COMMENT = /("(?:[^"\\]|\\.)*")|\/\/[^\n]*/g;
const TRAILING_COMMA = /("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g;

/** Removes what JSON has not, outside of strings: `//` comments, and commas before a closing bracket. */
export function stripComments(text: string): string {
  const keepQuoted = (_: string, quoted: string | undefined): string => quoted ?? '';
  return text.replace(COMMENT, keepQuoted).replace(TRAILING_COMMA, keepQuoted);
}

function fromFile(file: string): Tree {
  let parsed: unknown;
  try {
    parsed = JSON.parse(stripComments(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new AntirioError('badConfig', `cannot read the configuration file ${file}`, { file }, cause);
  }
  if (!isTree(parsed)) throw new AntirioError('badConfig', `${file} must hold one JSON object`, { file });
  return parsed;
}

/** @throws AntirioError badConfig naming the path of each wrong or unknown key. */
export function loadConfig<S extends z.ZodType>(schema: S, sources: ConfigSources): z.output<S> {
  let tree: Tree = sources.file === undefined ? {} : fromFile(sources.file);
  if (sources.env !== undefined) tree = merge(tree, fromEnvironment(sources.env.prefix, sources.env.values));
  if (sources.flags !== undefined) {
    for (const [path, value] of Object.entries(sources.flags))
      if (value !== undefined) tree = place(tree, path.split('.'), value);
  }
  const parsed = schema.safeParse(tree);
  if (parsed.success) return parsed.data;
  throw new AntirioError('badConfig', `bad configuration: ${issuesOf(parsed.error)}`);
}

/** One line per wrong key: its path and what is wrong. */
export function issuesOf(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.') || '(whole)'}: ${issue.message}`).join('; ');
}

/** @throws AntirioError invalidInput naming the path of each wrong key. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AntirioError('invalidInput', issuesOf(parsed.error));
}
