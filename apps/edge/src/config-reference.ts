import type { z } from 'zod';
import { kindOf, optionSchema, shownOptions, type OptionSchema, type Section } from './option-schema.ts';

const INTRODUCTION = `# Configuration

Written by \`antirio config reference\`, from what each service checks its options with.

One file, JSON with comments and trailing commas: \`--config FILE\`, else \`antirio.jsonc\` in the data folder (\`antirio init\` writes one in which every option stands with its default). Then the environment, then flags.
An option is its path: \`coreData.maxResultCount\` is \`{ "coreData": { "maxResultCount": 500 } }\` in the file and \`ANTIRIO_CORE_DATA__MAX_RESULT_COUNT=500\` in the environment. Units are in the names: \`...Ms\` milliseconds,
\`...S\` seconds, \`...Bytes\`, \`...MiB\`. A key that nobody knows stops the start with its path.
**required**: where the object that it is in is given; one that shows a default of its own, on a line before, is given as a whole or not at all. Secrets stand in files that options name, never in options.
`;

const cell = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;');

function bounds({ minimum, exclusiveMinimum, maximum }: OptionSchema): string {
  const least = minimum ?? exclusiveMinimum;
  const isLeast = least !== undefined && least > Number.MIN_SAFE_INTEGER;
  const isMost = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  const from = isLeast ? `${exclusiveMinimum === undefined ? '' : 'over '}${least}` : '';
  if (isLeast && isMost) return ` ${from} to ${maximum}`;
  return isLeast ? ` from ${from}` : isMost ? ` up to ${maximum}` : '';
}

function kind(schema: OptionSchema): string {
  if (schema.type === 'array') return `list of ${kindOf(schema.items ?? {})}`;
  if (schema.type === 'object' && schema.properties === undefined) return 'by name';
  return `${kindOf(schema)}${bounds(schema)}`;
}

function value(schema: OptionSchema, isRequired: boolean): string {
  if (schema.default !== undefined) return `\`${JSON.stringify(schema.default)}\``;
  return isRequired ? '**required**' : '';
}

/** What is said of an object as a whole; where it cannot be given in part, its default as well. */
function headOf(option: OptionSchema, here: string): string[] {
  const isWhole = option.default !== undefined && (option.required ?? []).length > 0;
  const { description = '' } = option;
  if (!isWhole && description === '') return [];
  const standsFor = isWhole ? ` ${cell(value(option, false))} ` : ' ';
  return [`| \`${here}\` | |${standsFor}| ${cell(description)} |`];
}

/** Every option on a line of its own, by its path. */
function rowsOf(schema: OptionSchema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, option]) => {
    const here = `${path}${name}`;
    const isRequired = (schema.required ?? []).includes(name);
    if (option.properties === undefined)
      return [
        `| \`${here}\` | ${cell(kind(option))} | ${cell(value(option, isRequired))} | ${cell(option.description ?? '')} |`,
      ];
    return [...headOf(option, here), ...rowsOf(option, `${here}.`)];
  });
}

const TABLE = ['| option | what | default | meaning |', '|---|---|---|---|'];

/** Every option of every service as a page of Markdown. */
export function configReference(common: z.ZodType, sections: readonly Section[]): string {
  const parts = sections.flatMap((section) => [
    '',
    `## ${section.title}`,
    ...TABLE,
    ...rowsOf(shownOptions(section), `${section.key}.`),
  ]);
  const all = optionSchema(common);
  return `${[INTRODUCTION, '## All services', ...TABLE, ...rowsOf(all, ''), ...parts].join('\n')}\n`;
}
