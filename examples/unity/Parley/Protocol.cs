// What PROTOCOL.md says that is data: the subprotocol, who may come back after which close code, which errors are worth
// another try, and the messages as a game sees them. It holds no state and does nothing.

using System.Collections.Generic;

namespace Parley
{
    /// <summary>Whether the same may be tried again: not at all, after a while, or with a fresh token.</summary>
    public enum Retry { No, Yes, FreshToken }

    internal static class Protocol
    {
        public const string Subprotocol = "parley.v1.json";
        /// <summary>The newest form of acts that is understood here; those of a newer one are left alone.</summary>
        public const int ActVersion = 1;
        /// <summary>What the standard calls a connection that ended without a close frame.</summary>
        public const int NoCloseFrame = 1006;
        public const int Bye = 1000;

        private static readonly Dictionary<int, Retry> closeCodes = new Dictionary<int, Retry>
        {
            { 1000, Retry.No }, // bye
            { 4400, Retry.No }, // malformed
            { 4401, Retry.FreshToken }, // unauthenticated
            { 4403, Retry.No }, // not allowed
            { 4408, Retry.Yes }, // no hello in time
            { 4409, Retry.No }, // replaced: the same player connected again
            { 4413, Retry.No }, // too large
            { 4429, Retry.Yes }, // too many
            { 4500, Retry.Yes }, // internal error
            { 4503, Retry.Yes }, // going away
            { 4504, Retry.Yes }, // too slow
        };

        private static readonly HashSet<string> worthAnotherTry = new HashSet<string>
        {
            "out_of_order", "too_many_streams", "rate_limited", "overloaded", "expired", "engine_failed", "lost", "internal",
        };

        /// <summary>A code that is in no table: 44xx is our own fault, anything else the network's or the edge's.</summary>
        public static Retry RetryAfterClose(int code)
        {
            if (closeCodes.TryGetValue(code, out Retry retry)) return retry;
            return code >= 4400 && code < 4500 ? Retry.No : Retry.Yes;
        }

        /// <summary>An error that a newer edge has added cannot be sent again.</summary>
        public static bool IsWorthAnotherTry(string errorCode)
        {
            return worthAnotherTry.Contains(errorCode);
        }
    }

    /// <summary>A message of the edge. A field that is missing or of another type than expected reads as the fallback.</summary>
    internal sealed class Message
    {
        private readonly Dictionary<string, object> fields;

        public Message(Dictionary<string, object> fields)
        {
            this.fields = fields;
        }

        /// <summary>Throws FormatException for what is no JSON map.</summary>
        public static Message Parse(string text)
        {
            if (Json.Parse(text) is Dictionary<string, object> map) return new Message(map);
            throw new System.FormatException("a message is a map");
        }

        public bool Has(string name)
        {
            return fields.ContainsKey(name);
        }

        public string Text(string name)
        {
            return fields.TryGetValue(name, out object value) && value is string text ? text : "";
        }

        public double Number(string name, double fallback = 0)
        {
            return fields.TryGetValue(name, out object value) && value is double number ? number : fallback;
        }

        /// <summary>A whole number of at most 53 bits.</summary>
        public long Whole(string name, long fallback = 0)
        {
            double number = Number(name, fallback);
            return number >= -9007199254740991 && number <= 9007199254740991 ? (long)number : fallback;
        }

        public bool Flag(string name)
        {
            return fields.TryGetValue(name, out object value) && value is bool flag && flag;
        }

        public Dictionary<string, object> Map(string name)
        {
            return fields.TryGetValue(name, out object value) && value is Dictionary<string, object> map
                ? map : new Dictionary<string, object>();
        }

        public IEnumerable<Message> Maps(string name)
        {
            if (!fields.TryGetValue(name, out object value) || !(value is List<object> list)) yield break;
            foreach (object item in list)
                if (item is Dictionary<string, object> map) yield return new Message(map);
        }
    }

    /// <summary>The connection stands.</summary>
    public sealed class Welcome
    {
        /// <summary>Who the player is, as the token says.</summary>
        public readonly string Player;
        /// <summary>Whether the session before goes on.</summary>
        public readonly bool Resumed;
        /// <summary>The server's clock, milliseconds since 1970.</summary>
        public readonly long TimeMs;
        /// <summary>Bounds of `text` and `context`, in UTF-16 code units, as string.Length counts them.</summary>
        public readonly int TextChars, ContextChars;
        /// <summary>How many answers may run at once, and how many messages may be sent a second.</summary>
        public readonly int Streams, MessagesPerSecond;

        internal Welcome(Message m)
        {
            var limits = new Message(m.Map("limits"));
            Player = m.Text("player");
            Resumed = m.Flag("resumed");
            TimeMs = m.Whole("time");
            TextChars = (int)limits.Whole("textChars", 2000);
            ContextChars = (int)limits.Whole("contextChars", 500);
            Streams = (int)limits.Whole("streams", 8);
            MessagesPerSecond = (int)limits.Whole("messagesPerSecond", 20);
        }
    }

    /// <summary>What the character decides to do. The game checks the name and the arguments before it obeys.</summary>
    public sealed class Act
    {
        public readonly string Name;
        /// <summary>string, double, bool, Dictionary&lt;string, object&gt;, List&lt;object&gt; or null.</summary>
        public readonly IReadOnlyDictionary<string, object> Args;
        /// <summary>Good for so long after it arrived.</summary>
        public readonly int TtlMs;
        /// <summary>As in the request that it answers; -1: none.</summary>
        public readonly long Generation;
        /// <summary>0 to 1, how sure the model was; -1: not known.</summary>
        public readonly double Confidence;

        internal Act(Message m)
        {
            Name = m.Text("name");
            Args = m.Map("args");
            TtlMs = (int)System.Math.Max(0, System.Math.Min(int.MaxValue, m.Whole("ttlMs")));
            Generation = m.Whole("g", -1);
            Confidence = m.Number("confidence", -1);
        }
    }

    /// <summary>How an answer ended. A value that is not known is to be taken for a plain end.</summary>
    public sealed class End
    {
        /// <summary>stop, length, cancelled, deadline or filtered.</summary>
        public readonly string Reason;
        /// <summary>gold, silver, bronze or none.</summary>
        public readonly string Tier;
        /// <summary>live, ready or authored.</summary>
        public readonly string Source;
        public readonly int Attempts;
        public readonly string Model;
        /// <summary>Milliseconds on the worker to the first piece (0: there was none) and in all.</summary>
        public readonly double FirstMs, TotalMs;

        internal End(Message m)
        {
            var timings = new Message(m.Map("timings"));
            Reason = m.Text("reason");
            Tier = m.Text("tier");
            Source = m.Text("source");
            Attempts = (int)m.Whole("attempts");
            Model = m.Text("model");
            FirstMs = timings.Number("firstMs");
            TotalMs = timings.Number("totalMs");
        }

        /// <summary>The end of a request that was cancelled before the edge heard of it.</summary>
        internal static End NeverSent()
        {
            return new End(new Message(new Dictionary<string, object>
            {
                { "reason", "cancelled" }, { "tier", "none" }, { "source", "live" },
            }));
        }
    }

    /// <summary>What may be asked for beside the words. What is left out is the server's default.</summary>
    public sealed class SayOptions
    {
        /// <summary>What this character is saying to the player goes on. Otherwise it is cancelled: the player barged in.</summary>
        public bool Alongside;
        /// <summary>What the character should know now. The server does not trust it more than the player's words.</summary>
        public string Context;
        /// <summary>Time for the whole answer.</summary>
        public int? BudgetMs;
        public int? MaxTokens;
        /// <summary>Acts of the answer repeat it, and those of an older one than the newest asked for are left out.</summary>
        public uint? Generation;
    }
}
