// Puts a ParleyClient into a Unity scene: connects when it is enabled, pumps once a frame, says bye when it is disabled.
// A game derives its own from it, which gets the token. The only file here that knows Unity; it draws nothing.

using System.Threading.Tasks;
using UnityEngine;

namespace Parley
{
    public abstract class ParleyBehaviour : MonoBehaviour
    {
        [SerializeField] private string url = "ws://127.0.0.1:8080/v1/ws";

        /// <summary>What the game's other components talk to; there once this is enabled.</summary>
        public ParleyClient Client { get; private set; }

        /// <summary>Asks the game's login service for the player's token. Called again when the edge refuses the last.</summary>
        protected abstract Task<string> FetchToken();

        protected virtual void OnEnable()
        {
            Client = new ParleyClient(new ParleyOptions { Url = url, Token = FetchToken });
            Client.Closed += error => Debug.LogWarning(error.Message, this);
            Client.Connect();
        }

        protected virtual void Update()
        {
            Client.Pump();
        }

        protected virtual void OnDisable()
        {
            Client.Close();
            Client.Pump(); // tells the listeners
        }
    }
}
