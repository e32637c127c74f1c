// A player at a terminal: says one thing to a character and prints the answer as it comes. The words go to standard
// output, everything else to standard error, one line each. The loop at its end stands for a game's.
//
//     mono parley.exe URL NPC TEXT [options]     the token is in PARLEY_TOKEN, or the first line of standard input
//
//     --max-tokens N   length of the answer
//     --drop N         cut the own socket after N pieces: the rest comes over the next connection
//     --cancel N       cancel the answer after N pieces
//     --think          TEXT is a situation, and the character decides what to do
//     --listen N       after the answer wait for so many pushes and speeches
//
// Exit status: 0 all came to its end, 1 the answer was refused or broke off, 2 usage, 3 closed for good.

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Parley;

internal static class Program
{
    private static int Main(string[] args)
    {
        if (args.Length < 3)
        {
            Console.Error.WriteLine("usage: parley.exe URL NPC TEXT [--max-tokens N] [--drop N] [--cancel N] [--think] [--listen N]");
            return 2;
        }
        Console.OutputEncoding = new System.Text.UTF8Encoding(false);
        string token = Environment.GetEnvironmentVariable("PARLEY_TOKEN") ?? Console.ReadLine();
        int drop = Option(args, "--drop"), cancel = Option(args, "--cancel"), listen = Option(args, "--listen");
        var client = new ParleyClient(new ParleyOptions { Url = args[0], Token = () => Task.FromResult(token) });
        int? status = null;

        client.Welcomed += w => Tell("welcome player={0} resumed={1}", w.Player, w.Resumed);
        client.Disconnected += (code, reason) => Tell("disconnected {0} {1}", code, reason);
        client.Refused += error => Tell("refused {0}: {1}", error.Code, error.Message);
        client.Pushed += data =>
        {
            foreach (KeyValuePair<string, object> entry in data) Tell("push {0}={1}", entry.Key, entry.Value);
            listen--;
        };
        client.SpeechStarted += speech =>
        {
            speech.Ended += end => Tell("speech {0} {1}: {2}", speech.S, speech.Npc, speech.Text);
            speech.Ended += end => listen--;
        };
        client.Closed += error =>
        {
            Tell("closed {0} {1} retry={2}", error.Code, error.Reason, error.Retry);
            status = 3;
        };
        client.Connect();

        var options = new SayOptions();
        if (Option(args, "--max-tokens") > 0) options.MaxTokens = Option(args, "--max-tokens");
        ParleyStream answer;
        if (Array.IndexOf(args, "--think") > 0)
        {
            options.Generation = 1;
            answer = client.Think(args[1], args[2], options);
        }
        else answer = client.Say(args[1], args[2], options);
        int pieces = 0;
        answer.Piece += words =>
        {
            Console.Out.Write(words);
            Console.Out.Flush();
            pieces++;
            if (pieces == cancel) answer.Cancel();
            if (pieces == drop) client.Drop();
        };
        answer.Acted += act => Tell("act {0} generation={1} args={2}", act.Name, act.Generation, act.Args.Count);
        answer.Ended += end =>
        {
            Tell("end reason={0} source={1} attempts={2}", end.Reason, end.Source, end.Attempts);
            status = status ?? 0;
        };
        answer.Failed += error =>
        {
            Tell("failed {0}", error is ServerException refused ? refused.Code + ": " + refused.Message : error.Message);
            status = status ?? 1;
        };

        // The game loop: 60 frames a second, each of which pumps once.
        while (status == null || status == 0 && listen > 0)
        {
            client.Pump();
            Thread.Sleep(16);
        }
        client.Close().Wait();
        return status.Value;
    }

    /// <summary>The number after an option, 0 without it.</summary>
    private static int Option(string[] args, string name)
    {
        int at = Array.IndexOf(args, name);
        return at > 0 && at + 1 < args.Length && int.TryParse(args[at + 1], out int value) ? value : 0;
    }

    private static void Tell(string format, params object[] values)
    {
        Console.Error.WriteLine(string.Format(format, values));
    }
}
