import { exampleOf, type Schema } from './example.ts';
import { THESIS, type ThesisRequest } from './thesis.ts';

/** What of an OpenAPI document is read here. */
export interface OpenApi {
  readonly info: { readonly title: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly schema: Schema;
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>;

interface Operation {
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

type Json = Readonly<Record<string, unknown>>;

/** A collection of Postman's format 2.1, or a folder of one. */
export interface Folder {
  readonly name: string;
  readonly item: readonly (Json | Folder)[];
}

const JSON_TYPE = 'application/json';
const FORMAT = 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json';

/** What the answer has to be: these statuses with their schemas, and errors that the request may well be. */
interface Expected {
  readonly statuses: Readonly<Record<string, Schema | undefined>>;
  readonly error: Schema;
  /** False where the example is of something that is there, or that needs nothing. */
  readonly mayBeRefused: boolean;
}

/** Answered 503 by an edge that knows no ledger. */
const NEED_A_CENTRE: ReadonlySet<string> = new Set(['/marketplace/v1/match']);
/** Postman refuses a schema with formats that it does not know. */
const FORMATS: ReadonlySet<unknown> = new Set(['uuid', 'uri', 'date-time', 'email', 'ipv4', 'ipv6']);

function checkable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(checkable);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => key !== 'format' || FORMATS.has(value));
  return Object.fromEntries(kept.map(([key, value]) => [key, checkable(value)]));
}

/** The assertions, as Postman runs them after the answer. */
function assertions({ statuses, error, mayBeRefused }: Expected): string[] {
  return [
    `const statuses = ${JSON.stringify(statuses)};`,
    `const error = ${JSON.stringify(error)};`,
    'const { code } = pm.response;',
    'const isDone = String(code) in statuses;',
    "pm.test('the status is as documented', () => {",
    // what this edge does not do, or has nobody for
    `  const isRefused = ${mayBeRefused} && ((code >= 400 && code < 500) || code === 501 || code === 503);`,
    "  pm.expect(isDone || isRefused, code + ' ' + pm.response.text().slice(0, 300)).to.equal(true);",
    '});',
    "pm.test('the answer has its schema', () => {",
    '  const schema = isDone ? statuses[code] : error;',
    '  if (schema) pm.response.to.have.jsonSchema(schema);',
    '});',
  ];
}

const scripted = (lines: readonly string[]): Json[] => [
  { listen: 'test', script: { type: 'text/javascript', exec: lines } },
];

function bodyOf(content: Content | undefined): Json {
  const [type, { schema = {} } = {}] = Object.entries(content ?? {})[0] ?? [];
  if (type === undefined) return {};
  const header = [{ key: 'Content-Type', value: type }];
  if (type !== JSON_TYPE) return { header, body: { mode: 'raw', raw: '' } };
  return { header, body: { mode: 'raw', raw: JSON.stringify(exampleOf(schema), null, 2) } };
}

function urlOf(room: string, path: string, parameters: readonly Parameter[]): Json {
  const segments = path.split('/').slice(1);
  const value = ({ name, schema }: Parameter): string => String(exampleOf(schema, name));
  const query = parameters
    .filter((parameter) => parameter.in === 'query')
    .map((parameter) => ({ key: parameter.name, value: value(parameter), disabled: !parameter.required }));
  const variable = parameters
    .filter((parameter) => parameter.in === 'path')
    .map((parameter) => ({ key: parameter.name, value: value(parameter) }))
    .concat([...path.matchAll(/\*(\w+)/g)].map(([, key = '']) => ({ key, value: 'example' })));
  const inPath = segments.map((segment) => segment.replace(/^\{(\w+)\}$/, ':$1').replace('*', ':'));
  return { raw: `{{${room}}}/${inPath.join('/')}`, host: [`{{${room}}}`], path: inPath, query, variable };
}

/** Those that end when their reader goes are for people to look at. */
const isEndless = ({ responses }: Operation): boolean =>
  Object.values(responses).some(({ content = {} }) => 'text/event-stream' in content);

function itemOf(document: OpenApi, room: string, path: string, method: string, operation: Operation): Json {
  const parameters = operation.parameters ?? [];
  const error = document.components?.schemas?.['Error'] ?? {};
  const statuses = Object.entries(operation.responses)
    .filter(([status]) => status !== 'default')
    .map(([status, { content = {} }]) => [status, checkable(content[JSON_TYPE]?.schema ?? null)] as const);
  const isWhole = !path.includes('*') && !parameters.some(({ required }) => required);
  const needsNothing = method === 'get' && isWhole && !NEED_A_CENTRE.has(path);
  const expected = { statuses: Object.fromEntries(statuses), error, mayBeRefused: !needsNothing } as Expected;
  return {
    name: `${method.toUpperCase()} ${path}`,
    request: {
      method: method.toUpperCase(),
      description: operation.summary,
      url: urlOf(room, path, parameters),
      ...bodyOf(operation.requestBody?.content),
    },
    event: scripted(assertions(expected)),
  };
}

function thesisItem({ table, room, method, path, body, status, keys }: ThesisRequest): Json {
  const isJson = typeof body !== 'string';
  const raw = isJson ? JSON.stringify(body, null, 2) : body;
  const type = isJson ? JSON_TYPE : 'application/octet-stream';
  const content = {
    header: [{ key: 'Content-Type', value: type }],
    body: { mode: 'raw', raw },
  };
  return {
    name: `table ${table}: ${method} ${path}`,
    request: {
      method,
      url: urlOf(room, path, []),
      ...(body === undefined ? {} : content),
    },
    event: scripted([
      `pm.test('the status is ${status}', () => pm.response.to.have.status(${status}));`,
      "pm.test('the answer has the keys of the table', () => {",
      '  const [answer] = [pm.response.json()].flat();',
      `  pm.expect(answer).to.include.keys(${JSON.stringify(keys)});`,
      '});',
    ]),
  };
}

/** The requests of one service: those of the thesis first, then each of its document. */
export function folderOf(room: string, document: OpenApi): Folder {
  const ofThesis = THESIS.filter((request) => request.room === room).map(thesisItem);
  const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => !isEndless(operation))
      .map(([method, operation]) => itemOf(document, room, path, method, operation)),
  );
  const folders = ofThesis.length === 0 ? [] : [{ name: 'tables of the thesis', item: ofThesis }];
  return { name: document.info.title, item: [...folders, ...documented] };
}

export const collectionOf = (name: string, item: Folder['item']): Json => ({
  info: { name, schema: FORMAT },
  // who is on the edge's own host needs no token: an empty one is shown then, which is not looked at
  auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{token}}', type: 'string' }] },
  item,
});

/** Where the services are, and what is shown to them where they ask for a token. */
export const environmentOf = (name: string, urls: Readonly<Record<string, string>>, token = ''): Json => ({
  name,
  values: [
    ...Object.entries(urls).map(([key, value]) => ({ key, value, type: 'default', enabled: true })),
    { key: 'token', value: token, type: 'secret', enabled: true },
  ],
  _postman_variable_scope: 'environment',
});
