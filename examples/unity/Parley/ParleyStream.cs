// One answer of a character, as it comes. Holds the rule of PROTOCOL.md that nothing is shown twice or out of order;
// ParleyClient feeds it, on the game's thread.

using System;
using System.Text;

namespace Parley
{
    public sealed class ParleyStream
    {
        /// <summary>The next words. Put them after the ones before: spaces are in them.</summary>
        public event Action<string> Piece;
        /// <summary>The character does something. Acts that came too late, by their generation, are left out.</summary>
        public event Action<Act> Acted;
        /// <summary>It is over, as it should be. Either this or Failed comes, once, and nothing after it.</summary>
        public event Action<End> Ended;
        /// <summary>It was refused or broke off (StreamException), or the client closed for good (ClosedException).</summary>
        public event Action<ParleyException> Failed;

        public readonly string Npc;
        /// <summary>The stream's number; negative when the character speaks by itself.</summary>
        public readonly int S;

        private readonly StringBuilder text = new StringBuilder();
        private readonly ParleyClient client;

        internal enum Applied { Used, Over, Gap }

        /// <summary>What to send, until a welcome says that it arrived.</summary>
        internal readonly string Request;
        /// <summary>Whether the request is on its way or there; otherwise it goes out with the next welcome.</summary>
        internal bool Sent;
        internal bool Cancelled;
        /// <summary>The last piece that was applied.</summary>
        internal long Last;

        internal ParleyStream(ParleyClient client, string npc, int s, string request)
        {
            this.client = client;
            Npc = npc;
            S = s;
            Request = request;
        }

        /// <summary>All words until now.</summary>
        public string Text
        {
            get { return text.ToString(); }
        }

        public bool IsOver { get; private set; }

        /// <summary>Stops it. It still ends as every stream does, as a rule with reason `cancelled`.</summary>
        public void Cancel()
        {
            if (IsOver || Cancelled) return;
            Cancelled = true;
            client.Cancel(this);
        }

        /// <summary>Takes a tok, act, end or err of this stream. State is in order before anybody is called.</summary>
        internal Applied Apply(string kind, Message m)
        {
            if (IsOver) return Applied.Over;
            if (kind == "err")
            {
                Fail(new StreamException(m));
                return Applied.Over;
            }
            long n = m.Whole("n");
            if (kind == "end")
            {
                if (n > Last) return Applied.Gap;
                Finish(new End(m));
                return Applied.Over;
            }
            if (n <= Last) return Applied.Used;
            if (m.Whole(kind == "tok" ? "f" : "n", n) != Last + 1) return Applied.Gap;
            Last = n;
            if (kind == "tok")
            {
                // Empty where the game's server refused an act.
                string words = m.Text("d");
                if (words == "") return Applied.Used;
                text.Append(words);
                Piece?.Invoke(words);
            }
            // An act of a newer form, or of an older generation, counts as a piece and is left alone.
            else if (m.Whole("v", 1) <= Protocol.ActVersion)
            {
                var act = new Act(m);
                if (act.Generation < 0 || act.Generation >= client.NewestGeneration(Npc)) Acted?.Invoke(act);
            }
            return Applied.Used;
        }

        internal void Finish(End end)
        {
            if (IsOver) return;
            IsOver = true;
            Ended?.Invoke(end);
        }

        internal void Fail(ParleyException error)
        {
            if (IsOver) return;
            IsOver = true;
            Failed?.Invoke(error);
        }
    }
}
