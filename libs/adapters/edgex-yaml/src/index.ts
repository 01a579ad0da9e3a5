import { isMap, isScalar, isSeq, parseDocument, visit, type Document, type Scalar } from 'yaml';

/** Fields of profiles, devices and provision watchers that are texts, whatever what stands there looks like. */
const TEXT_FIELDS = new Set([
  ...[
    'name',
    'description',
    'manufacturer',
    'model',
    'labels',
    'valueType',
    'readWrite',
    'units',
    'defaultValue',
  ],
  ...[
    'assertion',
    'mediaType',
    'deviceResource',
    'mappings',
    'profileName',
    'serviceName',
    'sourceName',
    'interval',
  ],
  ...['identifiers', 'blockingIdentifiers'],
]);
/** Fields whose values the driver gives a meaning. */
const OPEN_FIELDS = new Set(['attributes', 'protocols', 'optional', 'tags']);
/** Of these the keys are texts too. */
const TEXT_MAPS = new Set(['mappings', 'identifiers', 'blockingIdentifiers']);
const MAX_ALIASES = 100;

const isText = ({ value }: Scalar): boolean => !['number', 'boolean', 'bigint'].includes(typeof value);

/** Go's reader asks for the type of the field: `007`, `1.0` and `yes` are texts there. */
function asText(node: unknown, keysToo: boolean): void {
  if (isSeq(node)) for (const item of node.items) asText(item, keysToo);
  if (isMap(node))
    for (const { key, value } of node.items) {
      if (keysToo) asText(key, false);
      asText(value, keysToo);
    }
  if (isScalar(node) && !isText(node)) node.value = node.source ?? String(node.value);
}

function readTextFields(document: Document): void {
  visit(document, {
    Pair(_, { key, value }) {
      const field = isScalar(key) ? String(key.value) : '';
      if (OPEN_FIELDS.has(field)) return visit.SKIP;
      if (TEXT_FIELDS.has(field)) asText(value, TEXT_MAPS.has(field));
      return undefined;
    },
  });
}

/** Integers that a number holds exactly are numbers, others keep their digits. */
const exact = (_key: unknown, value: unknown): unknown =>
  typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;

/**
 * Reads YAML into what EdgeX's Go services would read it into: a text field has the text that stands there, integers keep all digits.
 * @throws YAMLParseError
 */
export function parseEdgexYaml(text: string): unknown {
  const document = parseDocument(text, { intAsBigInt: true });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  readTextFields(document);
  return document.toJS({ maxAliasCount: MAX_ALIASES, reviver: exact });
}
