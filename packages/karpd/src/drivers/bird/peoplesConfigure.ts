import { HandoverFailure } from "../../ports/handover.ts";
import { type DriverClock, delay } from "../context.ts";
import { timeOfDay } from "../text.ts";
import { ConfigFiles } from "./configFiles.ts";
import { converse } from "./controlSocket.ts";
import { lastText } from "./replies.ts";
import type { BirdSettings } from "./settings.ts";
import { parseConfigureStatus, parseStatus, TIME_FORMAT_COMMAND } from "./status.ts";

const CONFIGURE_TIMEOUT_MILLISECONDS = 300_000;
const POLL_MILLISECONDS = 200;
const POLLS = 150;

/**
 * Nothing of anybody's waits to be put into effect, and no undo is pending.
 * @throws HandoverFailure
 */
export async function refuseOthersWork(settings: BirdSettings, clock: DriverClock): Promise<void> {
  const files = await new ConfigFiles().collect(settings.config);
  await converse(settings.control, clock, async (bird) => {
    await bird.ask(TIME_FORMAT_COMMAND);
    const status = parseStatus(await bird.ask("show status"));
    const configure = parseConfigureStatus(await bird.ask("configure status"));
    if (status === undefined || configure === undefined) throw new HandoverFailure("BIRD's answers are not understood");
    if (configure.undoInSeconds !== undefined)
      throw new HandoverFailure("BIRD undoes its last configure soon: run birdc configure confirm, or wait");
    if (configure.isBusy) throw new HandoverFailure("BIRD is in the middle of a reconfiguration: try again");
    const edited = files.find(({ isOurs, changedAt }) => !isOurs && changedAt > status.lastReconfigurationAt);
    if (edited === undefined) return;
    const when = timeOfDay(edited.changedAt);
    throw new HandoverFailure(`${edited.path} was edited ${when} and is not applied: run birdc configure first`);
  });
}

/** `birdc configure`, as the person would run it who asked for the change. @throws HandoverFailure */
export async function configureForPeople(settings: BirdSettings, clock: DriverClock): Promise<void> {
  await converse(settings.control, clock, async (bird) => {
    const checked = await bird.ask("configure check", CONFIGURE_TIMEOUT_MILLISECONDS);
    if (checked.code !== 20) throw new HandoverFailure(`BIRD would not take its configuration: ${lastText(checked)}`);
    const reply = await bird.ask("configure", CONFIGURE_TIMEOUT_MILLISECONDS);
    if (![3, 4, 5].includes(reply.code)) throw new HandoverFailure(`birdc configure: ${lastText(reply)}`);
    for (let poll = 0; poll < POLLS; poll++) {
      if (parseConfigureStatus(await bird.ask("configure status"))?.isBusy === false) return;
      await delay(clock, POLL_MILLISECONDS);
    }
  });
}
