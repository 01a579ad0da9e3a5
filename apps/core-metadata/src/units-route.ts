import type { HttpRim } from '@antirio/host';
import { baseResponse } from '@antirio/edgex-contracts';
import type { CoreMetadataOptions } from './options.ts';
import type { Room } from './room.ts';

const TOML = 'application/toml';

type Units = CoreMetadataOptions['unitsOfMeasure'];

/** TOML's basic strings are JSON's, but for DEL. */
const quoted = (text: string): string => JSON.stringify(text).replaceAll('\u007f', '\\u007f');

/** With the names of EdgeX's own units file. */
function tomlOf({ source, units }: Units): string {
  const tables = Object.entries(units).map(
    ([name, unit]) =>
      `\n[Units.${quoted(name)}]\nSource = ${quoted(unit.source)}\nValues = [${unit.values.map(quoted).join(', ')}]\n`,
  );
  return `Source = ${quoted(source)}\n\n[Units]\n${tables.join('')}`;
}

export function addUnitsRoute(rim: HttpRim, { options }: Room): void {
  rim.route(
    'get',
    '/api/v3/uom',
    { summary: 'the units of measure that profiles may use, as JSON or, if asked for, as TOML' },
    ({ request, response }) => {
      const { unitsOfMeasure } = options;
      if (request.get('accept') !== TOML) return { ...baseResponse(200), uom: unitsOfMeasure };
      response.type(TOML).send(tomlOf(unitsOfMeasure));
      return undefined;
    },
  );
}
