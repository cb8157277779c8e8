import { Controller, Inject } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { CommandContext } from '@perdure/platform-nest-runtime';
import { CommandRelay } from '@perdure/run-application';
import { commandSubject, type Answer } from '@perdure/run-contract';

/** Durable commands: parsed nowhere but at the owner, which every command reaches by the same way. */
@Controller()
export class CommandsController {
  constructor(@Inject(CommandRelay) private readonly relay: CommandRelay) {}

  @MessagePattern(commandSubject.all)
  command(@Payload() payload: string, @Ctx() context: CommandContext): Promise<Answer> {
    return this.relay.relay(context.subject, payload);
  }
}
