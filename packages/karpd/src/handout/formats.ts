import { formatBird } from "./bird.ts";
import { formatEos } from "./eos.ts";
import type { Formatter } from "./form.ts";
import { formatIosXe } from "./iosXe.ts";
import { formatIosXr } from "./iosXr.ts";
import { formatJunos } from "./junos.ts";
import { formatRfc8177 } from "./rfc8177.ts";
import { formatSros } from "./sros.ts";

/** By the word of `karp handout --format`. */
export const formats: Readonly<Record<string, Formatter>> = {
  "ios-xr": formatIosXr,
  "ios-xe": formatIosXe,
  junos: formatJunos,
  eos: formatEos,
  sros: formatSros,
  bird: formatBird,
  rfc8177: formatRfc8177,
};
