import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { ContractBroken } from './contract-broken.ts';
import { DEVIATIONS } from './deviations.ts';

/** The services whose documents are in `openapi/`. */
export type ContractService = 'core-data' | 'core-metadata' | 'core-command' | 'core-keeper' | 'device-sdk';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One method of one path, as documented. */
export interface Operation {
  readonly method: Method;
  /** With its parameters in braces, without `/api/v3`. */
  readonly path: string;
  readonly statuses: readonly number[];
}

/** What an operation answers with one status. */
export interface DocumentedAnswer {
  /** Names of headers in lower case, each with a check of its value that tells what is wrong. */
  readonly headers: ReadonlyMap<string, (value: string) => string | undefined>;
  /** By media type: a check of the parsed body that tells what is wrong; undefined where no body is documented. */
  readonly bodies: ReadonlyMap<string, (body: unknown) => string | undefined> | undefined;
}

/** A request that somebody made. */
export interface MadeRequest {
  readonly method: string;
  /** With query, from the slash on. */
  readonly url: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The parsed body; undefined where there was none. */
  readonly body: unknown;
}

/** EdgeX's own OpenAPI document of one service. */
export interface Contract {
  readonly service: ContractService;
  readonly operations: readonly Operation[];
  /** @throws ContractBroken where the operation or the status is not documented. */
  answer(method: Method, path: string, status: number): DocumentedAnswer;
  /** What of a request to the service is not as documented: its path, its query, its body. */
  requestFaults(request: MadeRequest): readonly string[];
}

type Tree = Record<string, unknown>;

const METHODS = { get: 'GET', post: 'POST', put: 'PUT', patch: 'PATCH', delete: 'DELETE' } as const;
const JSON_TYPE = 'application/json';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function below(tree: unknown, keys: readonly string[]): Tree {
  let at: unknown = tree;
  for (const key of keys) at = isTree(at) ? at[key] : undefined;
  if (!isTree(at)) throw new ContractBroken(`the document has nothing at ${keys.join(' ')}`);
  return at;
}

/** The document with the deviations that are tolerated. */
function amended(service: ContractService, document: Tree): Tree {
  for (const { service: of, at, change } of DEVIATIONS) {
    if (of !== service) continue;
    const schema = below(document, at);
    if (change === 'anyOf') {
      schema['anyOf'] = schema['oneOf'];
      delete schema['oneOf'];
    } else if (change === 'item') {
      Object.assign(schema, below(schema, ['items']));
      delete schema['type'];
      delete schema['items'];
    } else if (change === 'list') {
      const parent = below(document, at.slice(0, -1));
      parent[at.at(-1) ?? ''] = { type: 'array', items: schema };
    } else if ('mayLack' in change) {
      const required = schema['required'] as readonly string[];
      schema['required'] = required.filter((field) => !change.mayLack.includes(field));
    } else {
      const extra = Object.fromEntries(change.alsoHas.map((field) => [field, true]));
      schema['properties'] = { ...(schema['properties'] as Tree | undefined), ...extra };
    }
  }
  return document;
}

const pointer = (keys: readonly string[]): string =>
  keys.map((key) => `/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');

function judging(validate: ValidateFunction): (value: unknown) => string | undefined {
  return (value) =>
    validate(value)
      ? undefined
      : (validate.errors ?? [])
          .map(({ instancePath, message, params }) =>
            [instancePath || '(whole)', message, JSON.stringify(params)].join(' '),
          )
          .join('; ');
}

/** Whether a path is one that the template stands for. */
function matches(template: string, path: string): boolean {
  const [parts, given] = [template.split('/'), path.split('/')];
  return (
    parts.length === given.length &&
    parts.every((part, index) => part.startsWith('{') || part === given[index])
  );
}

function operationsOf(document: Tree): Operation[] {
  return Object.entries(below(document, ['paths'])).flatMap(([path, methods]) =>
    Object.entries(METHODS).flatMap(([key, method]) => {
      const operation = (methods as Tree)[key];
      if (!isTree(operation)) return [];
      const statuses = Object.keys(below(operation, ['responses'])).map(Number);
      return [{ method, path, statuses }];
    }),
  );
}

class OpenApiContract implements Contract {
  readonly service: ContractService;
  readonly operations: readonly Operation[];
  readonly #document: Tree;
  readonly #ajv: Ajv2020;
  readonly #answers = new Map<string, DocumentedAnswer>();

  constructor(service: ContractService, document: Tree) {
    this.service = service;
    this.#document = document;
    this.operations = operationsOf(document);
    // OpenAPI has keywords of its own (`example`), and its documents say `type` beside `allOf`
    this.#ajv = new Ajv2020({ strict: false, validateSchema: false, allErrors: true });
    this.#ajv.addFormat('uuid', UUID);
    this.#ajv.addFormat('byte', BASE64);
    this.#ajv.addSchema(document, service);
  }

  answer(method: Method, path: string, status: number): DocumentedAnswer {
    const operation = this.operations.find((one) => one.method === method && one.path === path);
    if (operation === undefined) throw new ContractBroken(`${this.service} documents no ${method} ${path}`);
    if (!operation.statuses.includes(status))
      throw new ContractBroken(`${method} ${path} answered ${status}, which is not documented`);
    const key = `${method} ${path} ${status}`;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const made = this.#answerAt(['paths', path, method.toLowerCase(), 'responses', String(status)]);
    this.#answers.set(key, made);
    return made;
  }

  requestFaults({ method, url, headers, body }: MadeRequest): readonly string[] {
    const { pathname, searchParams } = new URL(url, 'http://host');
    const operation = this.operations.find(
      (one) => one.method === method && matches(one.path, pathname.replace(/^\/api\/v3/, '')),
    );
    if (operation === undefined) return [`${this.service} documents no ${method} ${pathname}`];
    const at = ['paths', operation.path, method.toLowerCase()];
    const known = this.#queryNames(operation.path, at);
    const extra = [...searchParams.keys()].filter((key) => !known.has(key));
    const faults = extra.map((key) => `${method} ${operation.path} documents no query parameter ${key}`);
    if (headers['x-correlation-id'] === undefined) faults.push('there is no header x-correlation-id');
    return [...faults, ...this.#bodyFaults(at, body).map((fault) => `${method} ${operation.path}: ${fault}`)];
  }

  #queryNames(path: string, at: readonly string[]): ReadonlySet<unknown> {
    const lists = [['paths', path], at].map((keys) => below(this.#document, keys)['parameters']);
    const parameters = lists.flatMap((list) => (Array.isArray(list) ? (list as Tree[]) : []));
    const resolved = parameters.map((one) =>
      typeof one['$ref'] === 'string' ? below(this.#document, one['$ref'].slice(2).split('/')) : one,
    );
    return new Set(resolved.filter((one) => one['in'] === 'query').map((one) => one['name']));
  }

  /** A list's items have no fields but those that are documented. */
  #bodyFaults(at: readonly string[], body: unknown): readonly string[] {
    const { requestBody } = below(this.#document, at);
    if (!isTree(requestBody)) return body === undefined ? [] : ['no body is documented'];
    const schemaAt = [...at, 'requestBody', 'content', JSON_TYPE, 'schema'];
    const isList = below(this.#document, schemaAt)['type'] === 'array';
    if (isList && !Array.isArray(body)) return ['the body is no list'];
    const judge = judging(this.#compile(isList ? [...schemaAt, 'items'] : schemaAt, true));
    return (isList ? (body as unknown[]) : [body]).flatMap((item) => judge(item) ?? []);
  }

  #answerAt(at: readonly string[]): DocumentedAnswer {
    const { headers, content } = below(this.#document, at);
    const validators = Object.keys(isTree(headers) ? headers : {}).map((name) => {
      const header = this.#resolved([...at, 'headers', name]);
      return [name.toLowerCase(), judging(this.#compile([...header, 'schema'], false))] as const;
    });
    const bodies = Object.keys(isTree(content) ? content : {}).map((type) => {
      const schema = [...at, 'content', type, 'schema'];
      return [type, judging(this.#compile(schema, true))] as const;
    });
    return { headers: new Map(validators), bodies: isTree(content) ? new Map(bodies) : undefined };
  }

  /** Where a reference leads. */
  #resolved(at: readonly string[]): readonly string[] {
    const reference = below(this.#document, at)['$ref'];
    return typeof reference === 'string' ? reference.slice('#/'.length).split('/') : at;
  }

  /** With `closed`, an object may have no fields but those that are documented. */
  #compile(at: readonly string[], closed: boolean): ValidateFunction {
    const schema = { $ref: `${this.service}#${pointer(at)}` };
    return this.#ajv.compile(closed ? { allOf: [schema], unevaluatedProperties: false } : schema);
  }
}

/** EdgeX's authors close lists at the indentation of their key, which YAML forbids but Go's reader takes. */
function readYaml(file: string): Tree {
  const text = readFileSync(file, 'utf8').replace(/^( *)\]$/gm, '$1  ]');
  return parse(text) as Tree;
}

/** Reads the document of a service. */
export function loadContract(service: ContractService): Contract {
  const file = join(import.meta.dirname, '..', 'openapi', `${service}.yaml`);
  return new OpenApiContract(service, amended(service, readYaml(file)));
}
